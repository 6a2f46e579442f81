import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { storeSecret } from "../../lib/host/secret_store.ts";
import { parseSecret } from "../../lib/policy/text/secret_declaration.ts";
import { guardSecrets } from "../../lib/sandbox/guarded_secrets.ts";

let home = "";
const before = process.env["XDG_DATA_HOME"];

beforeEach(() => {
  home = realpathSync(mkdtempSync(join(tmpdir(), "sbx-guard-")));
  process.env["XDG_DATA_HOME"] = join(home, "data");
  for (const path of ["project/deep", "keys", "system"]) {
    mkdirSync(join(home, path), { recursive: true });
  }
  writeFileSync(join(home, "keys/token"), "hunter2");
  writeFileSync(join(home, "project/get-token"), "#!/bin/sh\n");
});
afterEach(() => {
  if (before === undefined) delete process.env["XDG_DATA_HOME"];
  else process.env["XDG_DATA_HOME"] = before;
  rmSync(home, { recursive: true });
});

/** What is said of one mount and one secret; null when nothing is. */
function guard(source: string, mount: string, readOnly: boolean): Promise<string | null> {
  return guardSecrets(source === "" ? [] : [parseSecret(`KEY=${source}@api.allowed.test`)], {
    mounts: mount === "" ? [] : [{ host: join(home, mount), guest: "/work", readOnly }],
    system: [join(home, "system")],
  }).then(() => null, (error) => {
    expect(error.code).toBe("USAGE");
    expect(error.hint.length).toBeGreaterThan(0);
    return error.message.replaceAll(home, "~");
  });
}

test("a file in a mount is no secret to the guest, whether it may write there or not", async () => {
  const token = `file:${home}/keys/token`;
  const says = "secret KEY is read from ~/keys/token, which the guest would see";
  for (const readOnly of [true, false]) {
    expect(await guard(token, "keys", readOnly)).toBe(`Cannot mount ~/keys: ${says}`);
    expect(await guard(token, "", readOnly)).toBeNull();
    expect(await guard(token, "project", readOnly)).toBeNull();
  }
  expect(await guard(token, "keys/token", true)).toBe(`Cannot mount ~/keys/token: ${says}`);
  expect(await guard(token, ".", true)).toMatch(/^Cannot mount /);
  expect(await guard("", "keys", false)).toBeNull();
  // Also one that is not there yet, or behind a link.
  expect(await guard(`file:${home}/keys/none`, "keys", true)).toMatch(/^Cannot mount ~\/keys/);
  symlinkSync("../keys/token", join(home, "project/link"));
  const linked = `file:${home}/project/link`;
  expect(await guard(linked, "keys", true)).toMatch(/^Cannot mount ~\/keys/);
});

test("a link that the guest could turn is no way to a file; one that it can only read is", async () => {
  symlinkSync("../keys/token", join(home, "project/link"));
  const linked = `file:${home}/project/link`;
  expect(await guard(linked, "project", false)).toMatch(/^Cannot mount ~\/project: secret KEY/);
  expect(await guard(linked, "project", true)).toBeNull();
});

test("a file in what every guest has of this machine is none either", async () => {
  writeFileSync(join(home, "system/token"), "hunter2");
  expect(await guard(`file:${home}/system/token`, "", true)).toBe(
    "Cannot read secret KEY from ~/system/token: guests have ~/system from this machine, and would " +
      "see the value",
  );
});

test("a command names no file that the guest can write to; what it can only read, it may run", async () => {
  const says =
    "Cannot mount ~/project writable: the command of secret KEY names ~/project/get-token, " +
    "which the guest could change and which runs on this machine";
  for (const command of ["$", "sh '$' -v", "true;$|cat", 'env A=$ sh -c "$"']) {
    const source = `cmd:${command.replaceAll("$", `${home}/project/get-token`)}`;
    expect(await guard(source, "project", false), command).toBe(says);
    expect(await guard(source, "project", true), command).toBeNull();
    expect(await guard(source, "keys", false), command).toBeNull();
  }
  // A directory, and what is not there, run nothing.
  expect(await guard(`cmd:ls ${home}/project`, "project", false)).toBeNull();
  expect(await guard(`cmd:cat ${home}/project/none`, "project", false)).toBeNull();
});

test("what 'sbx secret' keeps in files is in no mount, with secrets or without", async () => {
  mkdirSync(join(home, "data/sbx/ca"), { recursive: true });
  expect(await guard("", "data", true)).toBeNull();
  const { path } = await storeSecret("API_KEY", "hunter2", "file");
  const says = "'sbx secret' keeps values in ~/data/sbx/secrets, which the guest would see";
  for (const mount of ["data", "data/sbx", "data/sbx/secrets", path.slice(home.length + 1)]) {
    expect(await guard("", mount, true)).toBe(`Cannot mount ~/${mount}: ${says}`);
  }
  expect(await guard("", ".", true)).toMatch(/'sbx secret' keeps values/);
  for (const mount of ["data/sbx/ca", "project"]) expect(await guard("", mount, true)).toBeNull();
  // One that only says that the keychain has the value gives nothing away.
  writeFileSync(path, '{"name":"API_KEY","keptIn":"keychain","since":"2026-11-29T17:00:00Z"}\n');
  expect(await guard("", "data", true)).toBeNull();
});
