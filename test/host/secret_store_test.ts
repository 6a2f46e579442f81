import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { findKeychain } from "../../lib/host/keychain.ts";
import {
  isStoredName,
  readKept,
  removeStored,
  storeDirectory,
  storedSecrets,
  storeSecret,
} from "../../lib/host/secret_store.ts";

let home = "";
const before = { ...process.env };

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "sbx-secrets-"));
  process.env["XDG_DATA_HOME"] = home;
  process.env["PATH"] = `${home}/bin:/usr/bin:/bin`;
  mkdirSync(join(home, "bin"));
});
afterEach(() => {
  for (const name of ["XDG_DATA_HOME", "PATH"]) {
    if (before[name] === undefined) delete process.env[name];
    else process.env[name] = before[name];
  }
  rmSync(home, { recursive: true, force: true });
});

const fileOf = (name: string) => join(storeDirectory(), `${name}.json`);

async function read(service: string): Promise<string> {
  const signal = new AbortController().signal;
  return await readKept("KEY", service, { writable: [], signal });
}

/**
 * A keyring in files: one per entry, whose name is its attributes. What scripts/test-keychain has in
 * earnest; here to see arguments, and what becomes of failures.
 */
function fakeSecretTool(failure = ""): void {
  const script = `#!/bin/sh
echo "$*" >> '${home}/calls'
${failure}
command=$1; shift
case $1 in --label=*) shift ;; esac
entry='${home}'/ring-$(echo "$*" | tr ' /' '__')
case $command in
store) cat > "$entry" ;;
lookup) cat "$entry"* 2>/dev/null | head -n 1 | grep . || exit 1 ;;
clear) rm "$entry" 2>/dev/null || exit 1 ;;
esac
`;
  writeFileSync(join(home, "bin/secret-tool"), script, { mode: 0o755 });
}

const calls = () => readFileSync(join(home, "calls"), "utf8").trim().split("\n");

test("without a keychain values are in private files, told so, and read back", async () => {
  const stored = await storeSecret("API_KEY", "hunter2", "file");
  expect(stored).toMatchObject({ name: "API_KEY", keptIn: "file", path: fileOf("API_KEY") });
  expect(stored).not.toHaveProperty("fallback");
  expect(await read("API_KEY")).toBe("hunter2");
  await storeSecret("API_KEY", "hunter3", "file");
  expect(await read("API_KEY")).toBe("hunter3");
  expect((await storedSecrets()).map(({ name, keptIn }) => [name, keptIn])).toEqual([
    ["API_KEY", "file"],
  ]);
  expect(await removeStored("API_KEY")).toBe(true);
  expect(await removeStored("API_KEY")).toBe(false);
  expect(existsSync(storeDirectory())).toBe(false);
});

test("of many who set one at once the last one's is there, whole, and every reader has a whole one", async () => {
  const values = Array.from({ length: 20 }, (_, at) => String(at % 10).repeat(5000));
  await storeSecret("API_KEY", "0".repeat(5000), "file");
  const reads = await Promise.all(values.flatMap((value) => [
    storeSecret("API_KEY", value, "file").then(() => "1".repeat(5000)),
    read("API_KEY"),
  ]));
  for (const value of reads) expect(value).toMatch(/^(\d)\1{4999}$/);
  expect(readdirSync(storeDirectory())).toEqual(["API_KEY.json"]);
});

test("what others own, could have read, or put there is not used; what sets it anew mends it", async () => {
  const cases: readonly [what: string, spoil: () => void, code: string][] = [
    ["mode", () => chmodSync(fileOf("API_KEY"), 0o640), "SECRET_UNAVAILABLE"],
    ["directory", () => chmodSync(storeDirectory(), 0o750), "SECRET_UNAVAILABLE"],
    ["owner", () => chownSync(fileOf("API_KEY"), 65534, 65534), "SECRET_UNAVAILABLE"],
    ["link", () => {
      writeFileSync(join(home, "theirs"), readFileSync(fileOf("API_KEY")), { mode: 0o600 });
      rmSync(fileOf("API_KEY"));
      symlinkSync(join(home, "theirs"), fileOf("API_KEY"));
    }, "FILE_UNREADABLE"],
    ["damage", () => writeFileSync(fileOf("API_KEY"), '{"value":"hunter2"}'), "SECRET_UNAVAILABLE"],
    ["another's name", () =>
      writeFileSync(
        fileOf("API_KEY"),
        readFileSync(fileOf("API_KEY"), "utf8").replace("API_KEY", "api_key"),
      ), "SECRET_UNAVAILABLE"],
  ];
  for (const [what, spoil, code] of cases) {
    await storeSecret("API_KEY", "hunter2", "file");
    expect(await read("API_KEY"), what).toBe("hunter2");
    spoil();
    const error = await read("API_KEY").catch((error) => error);
    expect(error.code, what).toBe(code);
    expect(`${error.message}${error.hint}`, what).not.toContain("hunter2");
  }
  await storeSecret("API_KEY", "hunter2", "file");
  chownSync(storeDirectory(), 65534, 65534);
  await expect(read("API_KEY")).rejects.toMatchObject({ code: "SECRET_UNAVAILABLE" });
  await expect(storeSecret("API_KEY", "hunter3", "file")).rejects.toMatchObject({
    code: "SECRET_UNAVAILABLE",
  });
});

test("a name is a file's, and no path", () => {
  for (const name of ["A", "_x", "GITHUB_TOKEN", "github.com", "me@example.com", "a-b"]) {
    expect(isStoredName(name), name).toBe(true);
  }
  for (
    const name of ["", ".", "..", ".a", "a/b", "-a", "a b", "a\n", "ä", "a.json", "x".repeat(129)]
  ) {
    expect(isStoredName(name), name).toBe(false);
  }
});

test("the keychain gets a value by its input, under a mark of sbx's own", async () => {
  fakeSecretTool();
  const stored = await storeSecret("API_KEY", "hunter2");
  expect(stored.keptIn).toBe("keychain");
  expect(readFileSync(stored.path, "utf8")).not.toContain("hunter2");
  expect(await read("API_KEY")).toBe("hunter2");
  expect(calls()).toEqual([
    "store --label=sbx secret API_KEY service API_KEY kept-by sbx",
    "lookup service API_KEY kept-by sbx", // whether it is there
    "lookup service API_KEY kept-by sbx",
  ]);
  // From the keychain to a file, and back: nothing is left in the other place.
  await storeSecret("API_KEY", "hunter3", "file");
  expect(readdirSync(home).filter((name) => name.startsWith("ring-"))).toEqual([]);
  expect(await read("API_KEY")).toBe("hunter3");
  await storeSecret("API_KEY", "hunter4", "keychain");
  expect(readFileSync(stored.path, "utf8")).not.toContain("hunter3");
  expect(await read("API_KEY")).toBe("hunter4");
  expect(await removeStored("API_KEY")).toBe(true);
  expect(readdirSync(home).filter((name) => name.startsWith("ring-"))).toEqual([]);
});

test("an entry that others made is read by its service, and left alone", async () => {
  fakeSecretTool();
  writeFileSync(join(home, "ring-service_github.com_user_me"), "theirs");
  expect(await read("github.com")).toBe("theirs");
  expect(calls()).toEqual(["lookup service github.com"]);
  expect(await removeStored("github.com")).toBe(false);
  expect(await read("github.com")).toBe("theirs");
});

test("a service that is not there is said to be so, with the way to keep one", async () => {
  fakeSecretTool();
  await expect(read("API_KEY")).rejects.toMatchObject({
    code: "SECRET_UNAVAILABLE",
    message: "Cannot read secret KEY: the keychain has none of that service",
    hint: "keep the value with 'sbx secret set API_KEY'",
  });
});

test("a keychain that takes less than it was given, or nothing, is not believed", async () => {
  fakeSecretTool("[ $1 = store ] && exit 0");
  const { keptIn, fallback } = await storeSecret("API_KEY", "hunter2");
  expect([keptIn, fallback]).toEqual(["file", "what was written is not there"]);
  fakeSecretTool();
  const long = await storeSecret("API_KEY", "v".repeat(8001));
  expect([long.keptIn, long.fallback]).toEqual(["file", "it keeps texts of up to 8000 bytes"]);
  expect((await storeSecret("API_KEY", "v".repeat(8000))).keptIn).toBe("keychain");
});

test("a keychain that fails is told; a value then goes to a file unless the keychain was wished for", async () => {
  fakeSecretTool("echo 'secret-tool: Cannot autolaunch D-Bus without X11 $DISPLAY' >&2; exit 1");
  const { keptIn, fallback } = await storeSecret("API_KEY", "hunter2");
  expect([keptIn, fallback]).toEqual(["file", "Cannot autolaunch D-Bus without X11 $DISPLAY"]);
  expect(await read("API_KEY")).toBe("hunter2");
  await expect(storeSecret("API_KEY", "hunter3", "keychain")).rejects.toMatchObject({
    message: "Cannot keep API_KEY in the keychain: Cannot autolaunch D-Bus without X11 $DISPLAY",
  });
  expect(await read("API_KEY")).toBe("hunter2");
  await expect(read("OTHER")).rejects.toMatchObject({
    message:
      "Cannot read secret KEY: cannot read the keychain: Cannot autolaunch D-Bus without X11 $DISPLAY",
  });
});

test("without a program there is no keychain, and the hint keeps the value", async () => {
  process.env["PATH"] = join(home, "bin");
  await expect(read("API_KEY")).rejects.toMatchObject({
    message: "Cannot read secret KEY: secret-tool is not on the PATH",
    hint: "keep the value with 'sbx secret set API_KEY'",
  });
  expect((await storeSecret("API_KEY", "hunter2")).fallback).toBe("secret-tool is not on the PATH");
  expect(await read("API_KEY")).toBe("hunter2");
});

// No macOS here: this shows arguments only, and that no value is among them.
test("macOS's security gets commands by its input", async () => {
  const script = `#!/bin/sh
echo "$*" >> '${home}/calls'
case $1 in
-i) cat >> '${home}/input' ;;
find-generic-password) [ -e '${home}/input' ] && echo hunter2 || exit 44 ;;
delete-generic-password) [ -e '${home}/input' ] && rm '${home}/input' || exit 44 ;;
esac
`;
  writeFileSync(join(home, "bin/security"), script, { mode: 0o755 });
  const keychain = findKeychain([], "darwin");
  if (keychain === null) throw new Error("no keychain");
  expect(await keychain.lookup("API_KEY", true)).toBeNull();
  await keychain.store('a "b\\', "hunter2");
  expect(readFileSync(join(home, "input"), "utf8")).toBe(
    `add-generic-password -U -a sbx -s "a \\"b\\\\" -X 68756e74657232\n`,
  );
  expect(await keychain.lookup("API_KEY", false)).toBe("hunter2");
  await keychain.clear("API_KEY");
  await keychain.clear("API_KEY");
  expect(calls()).toEqual([
    "find-generic-password -a sbx -s API_KEY -w",
    "-i",
    'find-generic-password -a sbx -s a "b\\ -w',
    "find-generic-password -s API_KEY -w",
    "delete-generic-password -a sbx -s API_KEY",
    "delete-generic-password -a sbx -s API_KEY",
  ]);
  for (const value of ["pä", "v".repeat(1501)]) {
    await expect(keychain.store("API_KEY", value)).rejects.toMatchObject({
      code: "SECRET_UNAVAILABLE",
    });
  }
});
