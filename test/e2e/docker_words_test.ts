/** What hands that know docker type of logs, ls and exec, in a sandbox that runs. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run, until } from "../support/process.ts";
import { ROOT, SBX } from "../support/world.ts";

const scratch = mkdtempSync(join(tmpdir(), "sbx-words-"));
const env = { XDG_STATE_HOME: join(scratch, "state"), XDG_CACHE_HOME: join(ROOT, ".cache/test") };
const sbx = (...args: readonly string[]) => run([SBX, ...args], { env });
const out = async (...args: readonly string[]) => (await sbx(...args)).stdout;

/** Four lines, the third of them as an error, each a moment after the one before; then nothing more. */
const PRINTS =
  "trap 'echo heard' HUP; echo one; sleep 1; echo two; echo bad >&2; sleep 1; echo three; " +
  "while true; do sleep 100000 & wait; done";

beforeAll(async () => {
  const argv = ["run", "-d", "-q", "--no-net", "--no-template", "--memory", "256", "-n", "web-1"];
  expect(await sbx(...argv, "--", "sh", "-c", PRINTS)).toMatchObject({ status: 0, stderr: "" });
  expect(await sbx("create", "--name", "other", "--no-net", "--", "true")).toMatchObject({
    status: 0,
  });
  await until("the lines", async () => (await out("logs", "web-1")).endsWith("three\n"), 60);
}, 180_000);
afterAll(async () => {
  await sbx("rm", "--force", "web-1", "other");
  rmSync(scratch, { recursive: true, force: true });
});

test("logs has the last lines, none or all of them, with times, and from a second on", async () => {
  expect(await sbx("logs", "-n", "all", "web-1"))
    .toMatchObject({ stdout: "one\ntwo\nthree\n", stderr: "bad\n" });
  expect(await out("logs", "-n", "1", "web-1")).toBe("three\n");
  expect(await sbx("logs", "--tail", "0", "web-1")).toMatchObject({
    status: 0,
    stdout: "",
    stderr: "",
  });
  const stamped = await sbx("logs", "-t", "web-1");
  expect(stamped.stderr).toMatch(/^\S+Z bad\n$/);
  const times = stamped.stdout.trimEnd().split("\n").map((line) =>
    Date.parse(line.split(" ")[0] ?? "")
  );
  expect(stamped.stdout.replaceAll(/^\S+Z /gm, "")).toBe("one\ntwo\nthree\n");
  expect(times).toEqual(times.toSorted((a, b) => a - b));
  const [first = NaN, , last = NaN] = times;
  expect(last - first).toBeGreaterThan(1_000);
  expect(await out("logs", "--since", String(last / 1_000), "web-1")).toBe("three\n");
  expect(await out("logs", "--since", String(last / 1_000 + 1), "web-1")).toBe("");
}, 60_000);

test("logs goes up to a moment, and follows no further", async () => {
  const stamped = await out("logs", "-t", "web-1");
  const [first = ""] = stamped.split(" ");
  expect(await out("logs", "--until", first, "web-1")).toBe("one\n");
  expect(await out("logs", "-f", "--until", first, "web-1")).toBe("one\n");
  expect(await out("logs", "-n", "1", "--until", first, "web-1")).toBe("one\n");
  const soon = new Date(Date.now() + 2_000).toISOString();
  expect(await sbx("logs", "-f", "--until", soon, "--since", first, "web-1"))
    .toMatchObject({ status: 0, stdout: "one\ntwo\nthree\n", stderr: "bad\n" });
  const counting = "n=0; while echo $n; do n=$((n+1)); sleep 0.02; done";
  const job = (await out("exec", "-d", "web-1", "sh", "-c", counting)).trim();
  const end = new Date(Date.now() + 1_000).toISOString();
  const followed = await out("logs", "-f", "--until", end, "--job", job, "web-1");
  expect(followed).toMatch(/^0\n1\n/);
  expect(followed).toBe(await out("logs", "--until", end, "--job", job, "web-1"));
}, 60_000);

test("kill -s sends a signal to the command of a sandbox, which goes on", async () => {
  expect(await sbx("kill", "-s", "hup", "web-1")).toMatchObject({ status: 0, stdout: "web-1\n" });
  await until("the trap", async () => (await out("logs", "-n", "1", "web-1")) === "heard\n", 60);
  expect(await out("ls", "-q")).toBe("web-1\n");
  const stopped = await sbx("kill", "-s", "1", "other");
  expect(stopped).toMatchObject({ status: 125, stdout: "" });
  expect(stopped.stderr).toContain("is not running");
}, 60_000);

test("filters of one key are alternatives, of two both hold, and a * stands anywhere", async () => {
  const named = (...filters: readonly string[]) =>
    out("ls", "-q", ...filters.flatMap((each) => ["-f", each]));
  expect(await named("status=running", "status=created")).toBe("other\nweb-1\n");
  expect(await named("status=running", "status=created", "name=*-1")).toBe("web-1\n");
  expect(await named("name=w*1")).toBe("web-1\n");
  expect(await named("name=eb")).toBe("");
}, 60_000);

test("an option behind the name of exec is not run, and is where the hint puts it", async () => {
  const { status, stdout, stderr } = await sbx("exec", "web-1", "-w", "/tmp", "pwd");
  expect([status, stdout]).toEqual([2, ""]);
  expect(stderr).toContain("options stand before the name");
  expect(await out("exec", "-w", "/tmp", "web-1", "pwd")).toBe("/tmp\n");
}, 60_000);
