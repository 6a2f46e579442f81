import { expect, test } from "bun:test";
import { homedir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { linuxSystem } from "../../lib/host/linux/system.ts";
import { macSystem } from "../../lib/host/macos/system.ts";
import { ownRoot } from "../../lib/host/own_root.ts";
import { cacheDir, dataDir, stateDir } from "../../lib/host/paths.ts";

test("a Mac's programs are no guest's, which is said with what to do", () => {
  let refusal: unknown;
  try {
    ownRoot(macSystem(() => null));
  } catch (error) {
    refusal = error;
  }
  expect(refusal).toMatchObject({
    code: "REQUIREMENT_MISSING",
    message:
      "Cannot give a guest the programs of this machine: they are macOS's, and guests run Linux",
    hint: expect.stringContaining("--root DIR"),
  });
  expect(ownRoot(linuxSystem()).shares.map(({ at }) => at)).toContain("/usr");
});

const VARIABLES = ["XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"] as const;

test("what sbx keeps is where each system has such things, or where the variables say", () => {
  const before = VARIABLES.map((name) => [name, process.env[name]] as const);
  const kept = (system: Parameters<typeof cacheDir>[0]) =>
    [cacheDir, dataDir, stateDir].map((place) => place(system));
  const home = (...paths: readonly string[]) => paths.map((path) => join(homedir(), path, "sbx"));
  try {
    for (const name of VARIABLES) delete process.env[name];
    expect(kept(linuxSystem())).toEqual(home(".cache", ".local/share", ".local/state"));
    const [cache, support] = ["Library/Caches", "Library/Application Support"];
    expect(kept(macSystem(() => null))).toEqual(home(cache, support, support));
    for (const name of VARIABLES) process.env[name] = `/elsewhere/${name}`;
    for (const system of [linuxSystem(), macSystem(() => null)]) {
      expect(kept(system)).toEqual(VARIABLES.map((name) => `/elsewhere/${name}/sbx`));
    }
    for (const name of VARIABLES) process.env[name] = "relative";
    expect(kept(linuxSystem())).toEqual(home(".cache", ".local/share", ".local/state"));
  } finally {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  }
});
