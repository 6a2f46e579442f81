/** Jobs whose commands are the test's own: what is said to one that runs, to one that has ended, and to none. */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ExitStatus, SandboxProcess } from "../../lib/sandbox/process.ts";
import { homeOf } from "../../lib/supervise/home.ts";
import { Jobs } from "../../lib/supervise/jobs.ts";

const scratch = mkdtempSync(join(tmpdir(), "sbx-jobs-"));
afterAll(() => rmSync(scratch, { recursive: true }));

/** A command that prints nothing, and ends when the test says so. */
function jobs() {
  const signals: number[] = [];
  const ended = Promise.withResolvers<ExitStatus>();
  const nothing = () =>
    new ReadableStream<Uint8Array>({
      async start(stream) {
        await ended.promise;
        stream.close();
      },
    });
  const command = {
    stdin: new WritableStream(),
    stdout: nothing(),
    stderr: nothing(),
    exit: ended.promise,
    started: Promise.resolve(true),
    kill: (signal: number) => signals.push(signal),
    resize: () => {},
  } as unknown as SandboxProcess;
  const home = homeOf("dev", mkdtempSync(join(scratch, "home-")));
  const all = new Jobs(home, () => command, () => () => {});
  return { all, signals, end: (exit: ExitStatus) => ended.resolve(exit) };
}

test("a signal reaches a job that runs, and of one that has ended it is said that it has", async () => {
  const { all, signals, end } = jobs();
  const { id } = all.start(["sleep", "1d"], { stdin: false });
  all.signal(id, 1);
  expect(signals).toEqual([1]);
  end({ code: 7, timedOut: false });
  expect(await all.wait(id)).toMatchObject({ id, exit: { code: 7 } });
  expect(() => all.signal(id, 15)).toThrow(
    expect.objectContaining({
      code: "JOB_MISSING",
      message: `Cannot signal job ${id} of sandbox dev: it has ended`,
    }),
  );
  expect(signals).toEqual([1]); // whoever has its number by now in the guest is another
  expect(all.list()).toMatchObject([{ id, exit: { code: 7 } }]);
});

test("what is no job has no signal, and the way to see what there is", () => {
  const { all } = jobs();
  for (const id of ["1", "main", "../1"]) {
    expect(() => all.signal(id, 15)).toThrow(
      expect.objectContaining({
        code: "JOB_MISSING",
        hint: "see what there is with 'sbx ps dev'",
      }),
    );
  }
});
