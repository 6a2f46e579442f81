import { expect, test } from "bun:test";
import { SbxError } from "../../lib/base/errors.ts";
import { parseEnvFile } from "../../lib/cli/env_file.ts";
import {
  formatKey,
  parseAssignment,
  parseCount,
  parseDuration,
  parseKey,
  parseMemory,
  parseMount,
} from "../../lib/cli/values.ts";

const duration = (text: string) => parseDuration("--timeout", text);
const count = (text: string) => parseCount("--cpus", text);
const assignment = (text: string) => parseAssignment("--env", text, { HOME: "/root" });

test("sizes are MiB, whatever unit they were typed in", () => {
  const sizes = { "512M": 512, "512": 512, "2G": 2048, "1.5GiB": 1536, "2gb": 2048, "1T": 1 << 20 };
  for (const [text, mib] of Object.entries(sizes)) expect(parseMemory(text)).toBe(mib);
});

test("durations add up, and a plain number is seconds", () => {
  const durations = { "30s": 30e3, "5m": 3e5, "1h30m": 54e5, "250ms": 250, "7": 7e3, "1.5s": 1500 };
  for (const [text, ms] of Object.entries(durations)) expect(duration(text)).toBe(ms);
});

test("keys are a character or a control key, and some are taken", () => {
  const keys = { "~": 0x7e, "%": 0x25, "^": 0x5e, "^]": 0x1d, "^a": 1, "^P": 16 };
  for (const [text, key] of Object.entries(keys)) {
    expect(parseKey("--escape-char", text)).toBe(key);
    expect(formatKey(key)).toBe(text.toUpperCase());
  }
  expect(parseKey("--escape-char", "none")).toBe(null);
  for (const text of ["", "é", "ab", "^1", "^^^", "\x1d", " "]) {
    expect(() => parseKey("--escape-char", text)).toThrow("not a key");
  }
  for (const text of [".", "?", "^M", "^j", "^C", "^["]) {
    expect(() => parseKey("--escape-char", text)).toThrow("means something else");
  }
});

test("mounts split at the last colon before a slash", () => {
  expect(parseMount("./src:/src")).toEqual({ host: "./src", guest: "/src", readOnly: false });
  expect(parseMount("/a:b/c:/x:ro")).toEqual({ host: "/a:b/c", guest: "/x", readOnly: true });
  expect(parseMount("/tmp/ü x:/data:rw").readOnly).toBe(false);
  for (const mode of ["z", "Z", "delegated", "consistent", "rw,z"]) {
    expect(parseMount(`a:/b:${mode}`)).toEqual({ host: "a", guest: "/b", readOnly: false });
  }
  const given = { host: "a", guest: "/b" };
  expect(parseMount("a:/b:cached")).toEqual({ ...given, readOnly: false, as: "cached" });
  expect(parseMount("a:/b:ro,cached")).toEqual({ ...given, readOnly: true, as: "cached" });
  expect(parseMount("a:/b:copy,cached")).toEqual({ ...given, readOnly: false, as: "copy" });
  for (const mode of ["z,ro", "ro,Z", "cached,ro"]) {
    expect(parseMount(`a:/b:${mode}`).readOnly).toBe(true);
  }
});

test("assignments keep everything after the first equals sign; a bare name passes ours on", () => {
  expect(assignment("A=b=c")).toEqual(["A", "b=c"]);
  expect(assignment("A=")).toEqual(["A", ""]);
  expect(assignment("HOME")).toEqual(["HOME", "/root"]);
  expect(assignment("UNSET")).toBeNull();
});

test("environment files: comments, empty lines, literal quotes, bare names", () => {
  const text = '\uFEFF# comment\r\n\r\nA="b c"\r\n  B=  d \nHOME\nUNSET\n';
  expect(parseEnvFile(text, ".env", { HOME: "/root" })).toEqual([
    ["A", '"b c"'],
    ["B", "  d "],
    ["HOME", "/root"],
  ]);
  expect(() => parseEnvFile("OK=1\n=x\n", ".env", {})).toThrow(".env:2");
});

test("lines for a shell mean what a shell makes of them, or are refused without being shown", () => {
  const own = { HOME: "/root" };
  const rows: readonly (readonly [line: string, ...value: string[]])[] = [
    ["export C=3", "C", "3"],
    ["  export\tC=3  ", "C", "3"],
    ["export C='a b $x'", "C", "a b $x"],
    ['export C="a b"', "C", "a b"],
    ["export C=", "C", ""],
    ["export C=''", "C", ""],
    ["export C=a=b", "C", "a=b"],
    ["export HOME", "HOME", "/root"],
    ["export=3", "export", "3"],
    ['C="a b"', "C", '"a b"'], // no line for a shell
    ["C=$x", "C", "$x"],
  ];
  for (const [line, ...expected] of rows) {
    expect([line, ...parseEnvFile(line, ".env", own).flat()]).toEqual([line, ...expected]);
  }
  expect(parseEnvFile("export GONE", ".env", own)).toEqual([]);
  const refused = [
    ...[
      "$HUNTER2",
      '"$HUNTER2"',
      "`hunter2`",
      "a hunter2",
      "hunter2 # why",
      "a\\ hunter2",
      '"hunter2',
    ],
    ...["'hunter2", "'a'\"hunter2\"", "~/hunter2", "hunter2;", "(hunter2)", "1 HUNTER2=2", "*"],
  ];
  for (const value of refused) {
    const read = () => parseEnvFile(`A=1\nexport C=${value}`, ".env", own);
    expect(read).toThrow(
      /^Cannot use \.env:2: a shell would make another value of what stands there$/,
    );
  }
  expect(() => parseEnvFile("export a b=hunter2", ".env", own)).toThrow(
    "the name is empty or has a",
  );
});

test("what is not a value is wrong usage that shows the text", () => {
  const refused: readonly (readonly [(text: string) => unknown, readonly string[]])[] = [
    [parseMemory, ["", "many", "-1", "1X", "1e3"]],
    [duration, ["", "0", "0s", "5 minutes", "1d", "s"]],
    [count, ["", "0", "-1", "1.5", "1e9", "x"]],
    [parseMount, [
      "",
      "/data",
      "src:dst",
      ":/x",
      "/a:/b:rx",
      "/a:/b:ro,rw",
      "/a:/b:ro,copy",
      "/a:/b:ro,",
      "/a:/b:",
    ]],
  ];
  for (const [parse, texts] of refused) {
    for (const text of texts) {
      let error: unknown;
      try {
        parse(text);
      } catch (thrown) {
        error = thrown;
      }
      expect({ text, code: error instanceof SbxError ? error.code : error }).toEqual({
        text,
        code: "USAGE",
      });
      expect(String(error)).toContain(JSON.stringify(text));
    }
  }
});

test("what is no assignment is wrong usage that shows neither name nor value", () => {
  for (const text of ["", "=hunter2", "A hunter2=c", "A B=hunter2", "hunter2 hunter2"]) {
    expect(() => assignment(text)).toThrow(
      "Cannot use --env: the name is empty or has a space in it",
    );
  }
});
