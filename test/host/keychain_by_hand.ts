/**
 * The keychain in earnest; `scripts/test-keychain` makes one and runs this in it.
 */
import { expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { findKeychain } from "../../lib/host/keychain.ts";
import { readKept, removeStored, storedSecrets, storeSecret } from "../../lib/host/secret_store.ts";
import { run } from "../support/process.ts";

const MAIN = join(dirname(fileURLToPath(import.meta.url)), "../../main.ts");

async function read(service: string): Promise<string> {
  const signal = new AbortController().signal;
  return await readKept("KEY", service, { writable: [], signal });
}

/** As a user does it, without sbx. */
function tool(args: readonly string[], input = ""): string {
  return spawnSync("secret-tool", args, { input, encoding: "utf8" }).stdout;
}

test.each([
  ["a plain value", "hunter2"],
  ["no ASCII", "påss wörd 🔑"],
  ["what shells read", "a'b\"c$(d)`e`\\f"],
  ["a dash", "-dash"],
  ["a long value", "v".repeat(8000)],
])("%s is kept in the keyring, found there by others, replaced, and removed", async (_, value) => {
  const stored = await storeSecret("API_KEY", value);
  expect(stored).toMatchObject({ keptIn: "keychain" });
  expect(readFileSync(stored.path, "utf8")).not.toContain(value);
  expect(await read("API_KEY")).toBe(value);
  expect(tool(["lookup", "service", "API_KEY"])).toBe(value);
  await storeSecret("API_KEY", "another");
  expect(await read("API_KEY")).toBe("another");
  expect((await storedSecrets()).map(({ name, keptIn }) => [name, keptIn])).toEqual([
    ["API_KEY", "keychain"],
  ]);
  expect(await removeStored("API_KEY")).toBe(true);
  expect(tool(["lookup", "service", "API_KEY"])).toBe("");
  await expect(read("API_KEY")).rejects.toMatchObject({
    message: "Cannot read secret KEY: the keychain has none of that service",
  });
});

test("an entry that others made is read, and left when sbx's own of that name goes", async () => {
  tool(["store", "--label=git", "service", "github.com", "user", "me"], "theirs");
  expect(await read("github.com")).toBe("theirs");
  await storeSecret("github.com", "ours");
  expect(await read("github.com")).toBe("ours");
  expect(tool(["lookup", "service", "github.com", "user", "me"])).toBe("theirs");
  await removeStored("github.com");
  expect(await read("github.com")).toBe("theirs");
});

test("from the keyring to a file and back, nothing is left in the other place", async () => {
  await storeSecret("MOVED", "one");
  const { path } = await storeSecret("MOVED", "two", "file");
  expect(tool(["lookup", "service", "MOVED"])).toBe("");
  expect(await read("MOVED")).toBe("two");
  await storeSecret("MOVED", "three", "keychain");
  expect(readFileSync(path, "utf8")).not.toContain("two");
  expect(await read("MOVED")).toBe("three");
  await removeStored("MOVED");
  expect(existsSync(path)).toBe(false);
});

test("no value is an argument of anything", async () => {
  const keychain = findKeychain();
  if (keychain === null) throw new Error("no keychain");
  // The program that is asked, by a name that shows what it was asked with.
  await keychain.store("ARGUED", "hunter2-argued");
  const storing = Array.from({ length: 20 }, () => keychain.store("ARGUED", "hunter2-argued"));
  const seen: string[] = [];
  for (let look = 0; look < 20; look++) {
    seen.push(spawnSync("ps", ["-eo", "args"], { encoding: "utf8" }).stdout);
    await new Promise((turn) => setTimeout(turn, 5));
  }
  await Promise.all(storing);
  expect(seen.some((all) => all.includes("service ARGUED"))).toBe(true);
  expect(seen.join("")).not.toContain("hunter2-argued");
  await keychain.clear("ARGUED");
});

test("the command line says that it is the keychain", async () => {
  const sbx = (args: readonly string[], stdin = "") =>
    run([process.execPath, MAIN, "secret", ...args], { stdin, env: { NO_COLOR: "1" } });
  const set = await sbx(["set", "CLI_KEY"], "hunter2-cli\n");
  expect(set.stderr).toBe(
    "sbx: CLI_KEY is kept in the keychain\n" +
      "sbx: sandboxes get it with --secret CLI_KEY=keychain:CLI_KEY@HOST\n",
  );
  expect((await sbx(["ls"])).stdout).toMatch(/^CLI_KEY +keychain +20.*Z$/m);
  expect(tool(["lookup", "service", "CLI_KEY"])).toBe("hunter2-cli");
  expect((await sbx(["rm", "CLI_KEY"])).stderr).toBe("sbx: CLI_KEY is gone\n");
});
