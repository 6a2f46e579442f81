/**
 * The code that runs before Bun's: its bytes are its sources', and a program with it is the program.
 */
import { afterAll, describe, expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HERE } from "../../scripts/binary/target.ts";
import { addStub } from "../../scripts/binary/stub/add_stub.ts";
import { stubOf } from "../../scripts/binary/stub/code.ts";
import { run } from "../support/process.ts";
import { ROOT } from "../support/world.ts";

const directory = mkdtempSync(join(tmpdir(), "sbx-stub-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const STUB = stubOf(HERE.machine);

/** A program of the system's, with the stub. */
function stubbed(name: string): string {
  const path = join(directory, name);
  writeFileSync(path, addStub(readFileSync(`/usr/bin/${name}`), STUB));
  chmodSync(path, 0o755);
  return path;
}

test("the bytes are those of the assembly", async () => {
  const out = join(directory, "code.ts");
  const { status, stderr } = await run([join(ROOT, "scripts/binary/stub/assemble"), out]);
  expect([status, stderr]).toEqual([0, ""]);
  expect(readFileSync(out, "utf8")).toBe(
    readFileSync(join(ROOT, "scripts/binary/stub/code.ts"), "utf8"),
  );
});

describe("a program with the stub", () => {
  /** Their arguments, variables and ends are what a stub that moved the stack or lost a register would spoil. */
  const PROGRAMS: Readonly<Record<string, readonly string[]>> = {
    echo: ["a", "", "c d"],
    env: ["-i", "A=1", "/usr/bin/env"],
    sort: ["--parallel=4", "/etc/passwd"],
    python3: ["-c", "import atexit; atexit.register(print, 'ended'); print('began')"],
    false: [],
  };

  test.each(Object.entries(PROGRAMS))("does as %s does", async (name, args) => {
    const [without, with_] = [`/usr/bin/${name}`, stubbed(name)];
    const [expected, found] = [await run([without, ...args]), await run([with_, ...args])];
    expect([found.status, found.stdout, found.stderr]).toEqual(
      [expected.status, expected.stdout, expected.stderr],
    );
  });

  test("leaves the program's own bytes where they were, but for a header and the entry", () => {
    const program = readFileSync("/usr/bin/env");
    const changed = addStub(program, STUB);
    expect(changed.length).toBeLessThan(program.length + STUB.length + 16);
    const headers = 64 + program.readUInt16LE(54) * program.readUInt16LE(56);
    expect(
      changed.subarray(headers, program.length).every((byte, at) => byte === program[headers + at]),
    )
      .toBe(true);
  });
});

describe("nothing is added to", () => {
  const elf = readFileSync("/usr/bin/env");
  const without = Buffer.from(elf);
  for (let at = 64; at < 64 + 56 * elf.readUInt16LE(56); at += 56) {
    if (without.readUInt32LE(at) === 4) without.writeUInt32LE(0, at);
  }
  const FILES: Readonly<Record<string, readonly [Uint8Array, string]>> = {
    "an empty file": [new Uint8Array(), "no ELF of 64 bits"],
    "a script": [Buffer.from("#!/bin/sh\n"), "no ELF of 64 bits"],
    "a program without notes": [without, "no header for notes"],
    "a program with a stub": [addStub(elf, STUB), "no header for notes"],
  };
  test.each(Object.entries(FILES))("%s", (_, [file, message]) => {
    expect(() => addStub(file, STUB)).toThrow(message);
  });
});
