import { afterAll, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { type CommandContext, readCommand } from "../../lib/host/secret_command.ts";
import { trustedDirectory, trustedPath, trustedProgram } from "../../lib/host/trusted_path.ts";
import { start, until } from "../support/process.ts";

const place = realpathSync(mkdtempSync(join(tmpdir(), "sbx-secret-command-")));
afterAll(() => rmSync(place, { recursive: true }));

function read(command: string, context: Partial<CommandContext> = {}) {
  return readCommand("KEY", command, {
    writable: [],
    signal: new AbortController().signal,
    conceal: (text) => text,
    ...context,
  });
}

const failed = (command: string, context: Partial<CommandContext> = {}) =>
  read(command, context).then(
    () => Promise.reject(new Error("was taken")),
    (error: { code: string; message: string; hint: string }) => error,
  );

/** The processes that a mark in their arguments tells; `own` is not among them. */
function running(mark: string): string[] {
  return readdirSync("/proc").filter((pid) => {
    if (!/^\d+$/.test(pid) || pid === String(process.pid)) return false;
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(mark);
    } catch {
      return false;
    }
  });
}

const gone = (mark: string) => until(`the end of ${mark}`, () => running(mark).length === 0);

test.each([
  ["echo hunter2", "hunter2\n"],
  ["printf %s hunter2", "hunter2"],
  ["printf 'hunter2\\r\\n'", "hunter2\r\n"],
  ["echo hunter2; echo careful >&2", "hunter2\n"],
  ["cat; echo hunter2", "hunter2\n"], // its input is empty
  ['[ -t 0 ] || echo "$HOME"', `${process.env["HOME"] ?? ""}\n`],
])("%j gives a value", async (command, value) => {
  expect(await read(command)).toBe(value);
});

test.each<[command: string, says: RegExp, hint: RegExp]>([
  ["echo hunter2; exit 3", /ended with status 3$/, /^run the command in a shell/],
  [
    "echo hunter2; echo no such key >&2; echo more >&2; exit 1",
    /status 1$/,
    /^it said: no such key$/,
  ],
  [
    "printf '\\n\\n  \\033[2J\\033]0;x\\007no\\n' >&2; exit 1",
    /status 1$/,
    /^it said: \\u\{1b\}\[2J\\u\{1b\}\]0;x\\u\{7\}no$/,
  ],
  ["head -c 300000 /dev/zero | tr '\\0' x >&2; exit 1", /status 1$/, /^it said: x{200}…$/],
  ["kill -9 $$", /was ended by SIGKILL$/, /^run the command/],
  ["no-such-program-of-anybody", /status 127$/, /^it said: .*not found$/],
  ["printf 'h\\377'", /printed something that is no text$/, /alone/],
  ["yes hunter2", /printed more than a value$/, /^run the command/],
  ["yes hunter2 | head -c 65537", /printed more than a value$/, /^run the command/],
])(
  "%j fails: the message names the secret, and never what was printed",
  async (command, says, hint) => {
    const error = await failed(command);
    expect(error.code).toBe("SECRET_UNAVAILABLE");
    expect(error.message).toMatch(/^Cannot read secret KEY: /);
    expect(error.message).toMatch(says);
    expect(error.hint).toMatch(hint);
    expect(`${error.message}${error.hint}`).not.toContain("hunter2");
  },
);

test("what is known is taken out of what it said", async () => {
  const conceal = (text: string) => text.replaceAll("hunter2", "[secret]");
  const { hint } = await failed("echo token hunter2 is invalid >&2; exit 1", { conceal });
  expect(hint).toBe("it said: token [secret] is invalid");
});

test("one that hangs is ended at the limit, with all that it started", async () => {
  const mark = `${place}/hangs`;
  const tree =
    `sh -c 'sleep 600; : ${mark}' & sh -c 'sleep 600; : ${mark}' | cat & wait; : ${mark}`;
  const { message } = await failed(tree, { limitMs: 500 });
  expect(message).toMatch(/took longer than 0.5 s$/);
  await gone(mark);
});

test("it ends with the sandbox, and is not begun after that", async () => {
  const mark = `${place}/ends`;
  const over = new AbortController();
  const reading = failed(`touch ${mark}; sleep 600; : ${mark}`, { signal: over.signal });
  await until("the command", () => existsSync(mark));
  over.abort();
  expect((await reading).message).toMatch(/was ended with the sandbox$/);
  await gone(mark);
  const { message } = await failed(`touch ${mark}-again`, { signal: over.signal });
  expect(message).toMatch(/was ended with the sandbox$/);
  expect(existsSync(`${mark}-again`)).toBe(false);
});

test("it ends with this process, however that ends", async () => {
  const mark = `${place}/orphaned`;
  const module = join(import.meta.dirname, "../../lib/host/secret_command.ts");
  const script = join(place, "orphans.ts");
  writeFileSync(
    script,
    `import { readCommand } from ${JSON.stringify(module)};
     const signal = new AbortController().signal;
     await readCommand("KEY", "sleep 600 & sleep 600; : ${mark}", { writable: [], signal, conceal: String });`,
  );
  const other = start([process.execPath, script]);
  await until("the command", () => running(mark).length > 0);
  other.kill("SIGKILL");
  await gone(mark);
});

test("what it leaves behind ends with it, and one that fled with its output is not waited for", async () => {
  const mark = `${place}/left`;
  const left = `sh -c 'sleep 600; : ${mark}' & echo hunter2`;
  expect(await read(left)).toBe("hunter2\n");
  await gone(mark);
  const fled = `setsid sh -c 'sleep 600; : ${mark}' & sleep 0.2; echo hunter2`;
  expect(await read(fled)).toBe("hunter2\n");
  for (const pid of running(mark)) process.kill(-Number(pid), "SIGKILL");
});

test("one that forks without end is ended whole", async () => {
  const mark = `${place}/forks`;
  // Every child of it makes another before it goes; bounded, in case this test fails.
  const script = join(place, "forker");
  writeFileSync(
    script,
    `#!/bin/sh\n# ${mark}\n[ "$1" -gt 3000 ] && exit\nsleep 0.05\n"$0" $(($1 + 1)) ${mark} &\n`,
    { mode: 0o700 },
  );
  const { message } = await failed(`${script} 0 ${mark} & ${script} 0 ${mark} & sleep 60`, {
    limitMs: 700,
  });
  expect(message).toMatch(/took longer than/);
  await gone(mark);
});

test("it inherits no descriptor but the three, and leads a session of its own", async () => {
  const value = await read(
    "ls /proc/self/fd | tr '\\n' ' '; ps -o sid= -p $$ | tr -d ' \\n'; echo \" $$\"",
  );
  // ls has one more, for the directory.
  expect(value).toMatch(/^0 1 2 3 (\d+) \1\n$/);
});

test("no open descriptor is left of any of them", async () => {
  const opened = () => readdirSync("/proc/self/fd").length;
  await read("echo warm");
  const before = opened();
  await Promise.allSettled([
    read("echo x"),
    read("exit 1"),
    read("yes"),
    read("sleep 9", { limitMs: 50 }),
  ]);
  await until("their end", () => opened() <= before);
});

test("the guest's directories are not on its PATH, by whatever name, nor where it starts", () => {
  const bin = join(place, "project/node_modules/.bin");
  mkdirSync(bin, { recursive: true });
  symlinkSync(bin, join(place, "elsewhere"));
  const writable = [join(place, "project")];
  const path = `${bin}:/usr/bin:node_modules/.bin::${place}/elsewhere:${place}/project-2:/bin`;
  expect(trustedPath(path, writable)).toBe(`/usr/bin:${place}/project-2:/bin`);
  expect(trustedPath(path, [])).toBe(
    `${bin}:/usr/bin:${place}/elsewhere:${place}/project-2:/bin`,
  );
  const own = process.cwd();
  expect(trustedDirectory([])).toBe(own);
  expect(trustedDirectory([own])).toBe("/");
  expect(trustedDirectory([join(own, "lib")])).toBe(own);
});

test("a program is the first that no guest can have put there", () => {
  const bin = join(place, "planted");
  mkdirSync(bin);
  writeFileSync(join(bin, "env"), "#!/bin/sh\n");
  chmodSync(join(bin, "env"), 0o755);
  const before = process.env["PATH"];
  try {
    process.env["PATH"] = `${bin}:/usr/bin`;
    expect(trustedProgram("env", [])).toBe(join(bin, "env"));
    expect(trustedProgram("env", [bin])).toBe("/usr/bin/env");
    expect(trustedProgram("no-such-program", [bin])).toBeNull();
  } finally {
    process.env["PATH"] = before;
  }
});

test("a command finds none of the guest's programs", async () => {
  const bin = join(place, "guest-bin");
  mkdirSync(bin);
  writeFileSync(join(bin, "gh"), "#!/bin/sh\necho planted\n", { mode: 0o755 });
  const before = process.env["PATH"];
  try {
    process.env["PATH"] = `${bin}:${before}`;
    expect(await read("gh auth token")).toBe("planted\n");
    const { message } = await failed("gh auth token", { writable: [bin] });
    expect(message).toMatch(/ended with status 127$/);
  } finally {
    process.env["PATH"] = before;
  }
});
