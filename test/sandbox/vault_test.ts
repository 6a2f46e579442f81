import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { inspect } from "node:util";
import type { Secret } from "../../lib/policy/model/secret.ts";
import { parseSecret } from "../../lib/policy/text/secret_declaration.ts";
import { openVault, type VaultSpec } from "../../lib/sandbox/vault.ts";
import { ProgramValues } from "../../lib/secret/program_values.ts";
import type { HeldSecret } from "../../lib/secret/grant.ts";
import { run } from "../support/process.ts";

const place = mkdtempSync(join(tmpdir(), "sbx-vault-"));
const before = readFileSync("/proc/self/coredump_filter", "utf8");
afterAll(() => {
  rmSync(place, { recursive: true });
  writeFileSync("/proc/self/coredump_filter", `0x${before.trim()}`);
});

interface World extends Partial<VaultSpec> {
  readonly secrets: readonly (string | Secret)[];
}

async function open({ secrets, ...spec }: World) {
  const notices: string[] = [];
  const over = new AbortController();
  const vault = await openVault({
    settings: {
      secrets: secrets.map((one) => typeof one === "string" ? parseSecret(one) : one),
      onViolation: "block",
    },
    signal: over.signal,
    onNotice: (line) => notices.push(line),
    ...spec,
  });
  const values = async (host: string) => valuesOf(await vault.heldFor(host));
  return { vault, values, notices, over };
}

const valuesOf = (held: readonly HeldSecret[]) =>
  held.map(({ secret: { name }, value }) => `${name} ${value.reveal()}`);

function withVariable<T>(name: string, value: string | undefined, act: () => T): T {
  if (value === undefined) delete process.env[name];
  else process.env[name] = value;
  return act();
}

/** A file that a command counts its runs in, and a script that prints what another file has. */
function counted(name: string, body: string): { command: string; runs: () => number } {
  const runs = join(place, `${name}.runs`);
  writeFileSync(runs, "");
  const script = join(place, `${name}.sh`);
  writeFileSync(script, `#!/bin/sh\necho run >> '${runs}'\n${body}\n`, { mode: 0o700 });
  return { command: script, runs: () => readFileSync(runs, "utf8").split("\n").length - 1 };
}

const program = (name: string): Secret => ({
  ...parseSecret(`${name}@api.allowed.test`),
  source: { kind: "program" },
});

test("a variable is read at once, again for each request, and each host has its own secrets", async () => {
  process.env["SBX_TEST_ONE"] = "value-one";
  process.env["SBX_TEST_TWO"] = "value-two";
  const { vault, values } = await open({
    secrets: [
      "ONE=env:SBX_TEST_ONE@api.allowed.test,*.both.test",
      "TWO=env:SBX_TEST_TWO@*.both.test",
    ],
  });
  const held = vault.heldFor("api.allowed.test");
  expect(held instanceof Promise).toBe(false);
  expect(vault.heldFor("api.allowed.test")).toBe(held);
  expect(vault.heldFor("a.both.test")).toBe(vault.heldFor("b.both.test"));
  expect(await values("a.both.test")).toEqual(["ONE value-one", "TWO value-two"]);
  expect(await values("allowed.test")).toEqual([]);
  process.env["SBX_TEST_ONE"] = "value-new";
  expect(await values("api.allowed.test")).toEqual(["ONE value-new"]);
  expect(valuesOf(vault.known("api.allowed.test"))).toEqual(["ONE value-new", "ONE value-one"]);
  expect(vault.known("api.allowed.test")).toBe(vault.known("api.allowed.test"));
  expect(valuesOf(vault.known("c.both.test"))).toEqual([
    "ONE value-new",
    "ONE value-one",
    "TWO value-two",
  ]);
  for (const { secret, placeholder } of vault.kept) {
    expect(placeholder.text).toMatch(/^sbx-placeholder-[a-z2-7]{26}$/);
    expect((await vault.heldFor("x.both.test")).find((one) => one.secret === secret)?.placeholder)
      .toBe(placeholder);
  }
});

test("what is missing at the start is an error that names the secret and the fix", async () => {
  const starts: readonly [secret: string, message: RegExp, hint: RegExp][] = [
    [
      "KEY=env:SBX_TEST_NONE@api.allowed.test",
      /KEY: SBX_TEST_NONE is not set/,
      /^export SBX_TEST_NONE first, or keep/,
    ],
    [`KEY=file:${place}/none@api.allowed.test`, /KEY: .*no such file/, /name a file/],
    ["KEY=cmd:exit 7@api.allowed.test", /KEY: its command ended with status 7$/, /in a shell/],
    ["KEY=cmd:true@api.allowed.test", /secret KEY: its value is empty$/, /one line of text/],
    ["KEY=cmd:printf 'hunter2\\nx'@api.allowed.test", /more than one line$/, /one line of text/],
    [
      'KEY=cmd:echo \'{"value":"hunter2","expires":1}\'@api.allowed.test',
      /has expired already$/,
      /clock/,
    ],
  ];
  for (const [secret, message, hint] of starts) {
    const error = await open({ secrets: [secret] }).then(() => null, (error) => error);
    expect(error?.code, secret).toMatch(/^SECRET_(UNAVAILABLE|INVALID)$/);
    expect(error.message).toMatch(message);
    expect(error.hint).toMatch(hint);
    expect(inspect(error)).not.toContain("hunter2");
  }
});

test("a variable that 'sbx secret' keeps is hinted at, and never taken unasked", async () => {
  const data = process.env["XDG_DATA_HOME"];
  process.env["XDG_DATA_HOME"] = join(place, "data");
  try {
    const { storeSecret } = await import("../../lib/host/secret_store.ts");
    await storeSecret("SBX_TEST_KEPT", "hunter2", "file");
    await expect(open({ secrets: ["SBX_TEST_KEPT@api.allowed.test"] })).rejects.toMatchObject({
      hint: "'sbx secret' keeps one of that name: write SBX_TEST_KEPT=keychain:SBX_TEST_KEPT@HOST",
    });
    const { values } = await open({
      secrets: ["SBX_TEST_KEPT=keychain:SBX_TEST_KEPT@api.allowed.test"],
    });
    expect(await values("api.allowed.test")).toEqual(["SBX_TEST_KEPT hunter2"]);
    await storeSecret("SBX_TEST_KEPT", "hunter3", "file");
    expect(await values("api.allowed.test")).toEqual(["SBX_TEST_KEPT hunter3"]);
  } finally {
    withVariable("XDG_DATA_HOME", data, () => {});
  }
});

test("a file that was changed counts from the next request on, also among many at once", async () => {
  const path = join(place, "token");
  const write = (text: string) => {
    writeFileSync(`${path}.new`, `${text}\n`, { mode: 0o600 });
    renameSync(`${path}.new`, path);
  };
  write("token-0");
  const { values, notices } = await open({ secrets: [`KEY=file:${path}@api.allowed.test`] });
  const others: Promise<unknown>[] = [];
  for (let turn = 1; turn <= 100; turn++) {
    others.push(...Array.from({ length: 5 }, () => values("api.allowed.test")));
    write(`token-${turn}`);
    expect(await values("api.allowed.test")).toEqual([`KEY token-${turn}`]);
  }
  await Promise.all(others);
  expect(notices).toEqual([]);
});

test("a file that others can read is told of once", async () => {
  const path = join(place, "open-token");
  writeFileSync(path, "token", { mode: 0o644 });
  const { values, notices } = await open({ secrets: [`KEY=file:${path}@api.allowed.test`] });
  await values("api.allowed.test");
  expect(notices).toEqual([
    `others on this machine can read secret KEY: run 'chmod go= ${path}'`,
  ]);
});

test("a hundred requests at once are one call; the next is another", async () => {
  const { command, runs } = counted("slow", "sleep 0.1; echo token-$$");
  const { values } = await open({ secrets: [`KEY=cmd:${command}@api.allowed.test`] });
  expect(runs()).toBe(1);
  const all = await Promise.all(Array.from({ length: 100 }, () => values("api.allowed.test")));
  expect(runs()).toBe(2);
  expect(new Set(all.flat()).size).toBe(1);
  expect(await values("api.allowed.test")).not.toEqual(all[0] ?? []);
  expect(runs()).toBe(3);
});

test("a value that says when it expires is not asked for before", async () => {
  const { command, runs } = counted(
    "lasting",
    `echo "{\\"value\\": \\"token-$$\\", \\"expires\\": $(($(date +%s) + 3600))}"`,
  );
  const { vault, values } = await open({ secrets: [`KEY=cmd:${command}@api.allowed.test`] });
  for (let turn = 0; turn < 5; turn++) await values("api.allowed.test");
  expect(runs()).toBe(1);
  expect(vault.heldFor("api.allowed.test") instanceof Promise).toBe(false);
});

test("a command that fails refuses the request and is told once, until it works again; nothing stale goes out", async () => {
  const answer = join(place, "answer");
  const { command } = counted("failing", `. '${answer}'`);
  const say = (text: string) => writeFileSync(answer, text);
  say("echo token-secret-1");
  const { vault, values, notices } = await open({
    secrets: [`KEY=cmd:${command}@api.allowed.test`],
  });
  expect(await values("api.allowed.test")).toEqual(["KEY token-secret-1"]);
  say("echo token-secret-1 is revoked >&2; exit 1");
  for (let turn = 0; turn < 3; turn++) {
    const error = await values("api.allowed.test").then(() => null, (error) => error);
    expect(error).toMatchObject({ code: "SECRET_UNAVAILABLE" });
    expect(error.message).toBe("Cannot read secret KEY: its command ended with status 1");
    expect(inspect(error)).not.toContain("token-secret");
  }
  expect(notices).toEqual([
    "cannot read secret KEY: its command ended with status 1; it said: [secret] is revoked",
  ]);
  say("echo token-secret-2");
  expect(await values("api.allowed.test")).toEqual(["KEY token-secret-2"]);
  say("exit 2");
  await expect(values("api.allowed.test")).rejects.toMatchObject({ code: "SECRET_UNAVAILABLE" });
  expect(notices.length).toBe(2);
  // Answers to requests of before can still hold them.
  expect(valuesOf(vault.known("api.allowed.test"))).toEqual([
    "KEY token-secret-2",
    "KEY token-secret-1",
  ]);
});

test("the end of the sandbox ends what is asked, and nothing is asked any more", async () => {
  const { command, runs } = counted(
    "ending",
    `[ $(wc -l < '${place}/ending.runs') = 1 ] || sleep 600; echo token`,
  );
  const { values, over } = await open({ secrets: [`KEY=cmd:${command}@api.allowed.test`] });
  const waiting = values("api.allowed.test");
  over.abort();
  await expect(waiting).rejects.toMatchObject({ code: "SECRET_UNAVAILABLE" });
  const asked = runs();
  await expect(values("api.allowed.test")).rejects.toMatchObject({ code: "SECRET_UNAVAILABLE" });
  expect(runs()).toBe(asked);
});

test("a program's values are texts or functions, and what these throw is no message", async () => {
  let answer: () => unknown = () => "value-1";
  const given = new ProgramValues([["TEXT", "value-0"]])
    .with("ASKED", (() => answer()) as () => string);
  const { values } = await open({ secrets: [program("TEXT"), program("ASKED")], values: given });
  expect(await values("api.allowed.test")).toEqual(["TEXT value-0", "ASKED value-1"]);
  answer = () => Promise.resolve({ value: "value-2" });
  expect(await values("api.allowed.test")).toEqual(["TEXT value-0", "ASKED value-2"]);
  for (
    const wrong of [
      () => undefined,
      () => ({ value: 7 }),
      () => null,
      () => Promise.reject(new Error("hunter2")),
      () => {
        throw new Error("hunter2");
      },
      () => ({ value: "x", expires: new Date(NaN) }),
    ]
  ) {
    answer = wrong;
    const error = await values("api.allowed.test").then(() => null, (error) => error);
    expect(error?.code).toBe("SECRET_UNAVAILABLE");
    expect(`${error.message}${error.hint}`).not.toContain("hunter2");
  }
  answer = () => ({ value: "kept", expires: new Date(Date.now() + 3_600_000) });
  expect(await values("api.allowed.test")).toEqual(["TEXT value-0", "ASKED kept"]);
  answer = () => "later";
  expect(await values("api.allowed.test")).toEqual(["TEXT value-0", "ASKED kept"]);
  await expect(open({ secrets: [program("NONE")] })).rejects.toMatchObject({
    message: "Cannot read secret NONE: the program gave no value for it",
  });
  expect(inspect({ given }, { depth: 9 }) + JSON.stringify({ given })).not.toContain("value-0");
});

test("a pair of keys is read at once, each part with a placeholder of its form; a token comes and goes only with a sandbox", async () => {
  const path = join(place, "credentials");
  const write = (keys: string) => writeFileSync(path, `[default]\n${keys}`, { mode: 0o600 });
  const pair = (source: Secret["source"]): Secret => ({
    ...parseSecret("AWS@s3.allowed.test"),
    source,
    aws: { profile: "default", regions: [], services: [] },
  });
  const keys = (at: number) => `aws_access_key_id=AKIA${at}\naws_secret_access_key=key-${at}\n`;
  write(keys(1));
  const { vault, values } = await open({ secrets: [pair({ kind: "file", path })] });
  expect(vault.kept.map(({ secret: { name }, placeholder: { text } }) => [name, text.length]))
    .toEqual([
      ["AWS_ACCESS_KEY_ID", 20],
      ["AWS_SECRET_ACCESS_KEY", 40],
    ]);
  expect(vault.kept[0]?.placeholder.text).toMatch(/^AKIA[A-Z2-7]{16}$/);
  write(keys(2));
  expect(await values("s3.allowed.test")).toEqual([
    "AWS_ACCESS_KEY_ID AKIA2",
    "AWS_SECRET_ACCESS_KEY key-2",
  ]);
  expect(valuesOf(vault.known("s3.allowed.test")).length).toBe(4);
  write(`${keys(2)}aws_session_token=token\n`);
  await expect(values("s3.allowed.test")).rejects.toMatchObject({
    message: "Cannot use secret AWS: its source has a session token now, and had none",
  });
  const session = await open({ secrets: [pair({ kind: "file", path })] });
  expect((await session.values("s3.allowed.test")).at(-1)).toBe("AWS_SESSION_TOKEN token");
  write(keys(3));
  await expect(session.values("s3.allowed.test")).rejects.toMatchObject({
    message: "Cannot use secret AWS: its source has no session token any more",
  });
  const command = `cmd:echo '{"Version":1,"AccessKeyId":"ASIA4","SecretAccessKey":"key-4"}'`;
  const printed = await open({ secrets: [pair({ kind: "cmd", command: command.slice(4) })] });
  expect((await printed.values("s3.allowed.test"))[0]).toBe("AWS_ACCESS_KEY_ID ASIA4");
  process.env["SBX_AWS_ACCESS_KEY_ID"] = "AKIA5";
  const fromEnvironment = { secrets: [pair({ kind: "env", variable: "SBX_AWS" })] };
  await expect(open(fromEnvironment)).rejects.toMatchObject({
    message: "Cannot read secret AWS: SBX_AWS_SECRET_ACCESS_KEY is not set in the environment",
  });
  process.env["SBX_AWS_SECRET_ACCESS_KEY"] = "key-5";
  const own = await open(fromEnvironment);
  expect(own.vault.heldFor("s3.allowed.test") instanceof Promise).toBe(false);
  expect((await own.values("s3.allowed.test"))[1]).toBe("AWS_SECRET_ACCESS_KEY key-5");
});

test("nothing of a vault is printed by accident", async () => {
  process.env["SBX_TEST_ONE"] = "hunter2-one";
  const { vault } = await open({ secrets: ["ONE=env:SBX_TEST_ONE@api.allowed.test"] });
  const held = await vault.heldFor("api.allowed.test");
  const shown = [vault, held, vault.known("api.allowed.test")]
    .map((one) => inspect(one, { depth: 20, showHidden: true }) + JSON.stringify(one));
  expect(shown.join("")).not.toContain("hunter2");
});

test("a core dump of a process with a vault, and of one that it started, has no value in it", async () => {
  const script = join(place, "dumped.ts");
  const vault = join(import.meta.dirname, "../../lib/sandbox/vault.ts");
  const declared = JSON.stringify(
    parseSecret("KEY=env:SBX_TEST_DUMPED@api.allowed.test"),
    (_, value) => value instanceof Set ? [...value] : value,
  );
  writeFileSync(
    script,
    `import { openVault } from ${JSON.stringify(vault)};
     const secret = ${declared};
     if (process.argv[2] === "with") {
       const settings = { secrets: [{ ...secret, places: new Set(secret.places) }], onViolation: "block" };
       const vault = await openVault({ settings, signal: new AbortController().signal, onNotice() {} });
       if (vault.heldFor("api.allowed.test")[0].value.reveal().length < 9) process.exit(1);
     }
     const { spawnSync } = await import("node:child_process");
     console.log(spawnSync("cat", ["/proc/self/coredump_filter"], { encoding: "utf8" }).stdout.trim());
     process.kill(process.pid, "SIGABRT");
     await new Promise((done) => setTimeout(done, 60_000));`,
  );
  const pattern = readFileSync("/proc/sys/kernel/core_pattern", "utf8").trim();
  for (const how of ["without", "with"]) {
    const directory = mkdtempSync(join(place, "core-"));
    // Without a limit the memory of a runtime would be gigabytes.
    const { stdout } = await run(
      [
        "bash",
        "-c",
        `echo 0x33 > /proc/$$/coredump_filter; ulimit -c 400000; exec "$0" "$@"`,
        process.execPath,
        script,
        how,
      ],
      { cwd: directory, env: { SBX_TEST_DUMPED: "hunter2-dumped" } },
    );
    expect(stdout.trim()).toMatch(how === "with" ? /^0+$/ : /[1-9a-f]/);
    if (pattern !== "core") continue; // somebody else collects them here
    const holds = await run(["grep", "-rc", "hunter2-dumped", directory]);
    expect(holds.stdout.trim(), how).toMatch(how === "with" ? /:0$/ : /:[1-9]\d*$/);
  }
});

test("what is taken back is asked of no source and goes nowhere, and its value is looked for", async () => {
  process.env["SBX_TEST_ONE"] = "value-one";
  const { command, runs } = counted("taken", "echo value-two");
  const { vault, values } = await open({
    secrets: ["ONE=env:SBX_TEST_ONE@api.allowed.test", `TWO=cmd:${command}@api.allowed.test`],
  });
  expect(await values("api.allowed.test")).toEqual(["ONE value-one", "TWO value-two"]);
  const asked = runs();
  vault.permit(new Set(["ONE"]));
  expect(await values("api.allowed.test")).toEqual(["ONE value-one"]);
  expect(runs()).toBe(asked);
  expect(valuesOf(vault.known("api.allowed.test"))).toEqual(["ONE value-one", "TWO value-two"]);
  expect(vault.kept.map(({ secret: { name } }) => name)).toEqual(["ONE", "TWO"]);
  vault.permit(new Set(["ONE", "TWO"]));
  const waiting = vault.heldFor("api.allowed.test");
  vault.permit(new Set(["ONE"])); // while its source is asked
  expect(valuesOf(await waiting)).toEqual(["ONE value-one"]);
  vault.permit(new Set());
  expect(await values("api.allowed.test")).toEqual([]);
});
