/**
 * The library as npm would install it: the packages that a release makes, unpacked in an empty directory, beside what
 * they depend on from this checkout. No registry is asked; test/release/npm.ts has npm itself do it.
 *
 * @module
 */
import { execFileSync } from "node:child_process";
import {
  constants,
  copyFileSync,
  globSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import { NPM_SCOPE } from "../../lib/host/installed_binary.ts";
import { HERE, nameOf } from "../../scripts/binary/target.ts";
import { npmName, writeLibraryPackage } from "../../scripts/packages/npm.ts";
import type { Release } from "../../scripts/packages/release.ts";
import { run } from "./process.ts";
import { ROOT, SBX } from "./world.ts";

const [NODE = "node"] = globSync(`.cache/tool/node-22.*-${process.arch}/node`, { cwd: ROOT });

/** The runtimes that the library is for, and how each runs a program. */
export const RUNTIMES: Readonly<Record<string, readonly string[]>> = {
  Bun: [process.execPath],
  "Node 22": [join(ROOT, NODE)],
  Deno: ["deno", "run", "--allow-all", "--no-config", "--node-modules-dir=manual"],
};

const RELEASE: Release = {
  root: ROOT,
  version: "0.0.0-packed",
  commit: "none",
  time: 0,
  notes: "",
};

/** Installs into `directory`, which is empty. */
export async function installPacked(directory: string): Promise<void> {
  const places = { work: join(directory, "work"), out: join(directory, "out") };
  mkdirSync(places.out);
  await writeLibraryPackage(RELEASE, places);
  const modules = join(directory, "node_modules");
  const scope = join(modules, NPM_SCOPE);
  unpack(join(places.out, npmName(RELEASE)), join(scope, "sbx"));
  // Its tarball is the binary and licences, and takes a minute to compress.
  mkdirSync(join(scope, nameOf(HERE), "bin"), { recursive: true });
  copyFileSync(SBX, join(scope, nameOf(HERE), "bin/sbx"), constants.COPYFILE_FICLONE);
  writeFileSync(join(scope, nameOf(HERE), "package.json"), "{}");
  for (const place of Object.values(places)) rmSync(place, { recursive: true });
  const { dependencies } = JSON.parse(readFileSync(join(scope, "sbx/package.json"), "utf8"));
  const types = ["node", "bun"].flatMap((name) =>
    globSync(`node_modules/.deno/@types+${name}@*/node_modules/@types/${name}`, { cwd: ROOT })
  );
  const links = [
    ...Object.keys(dependencies).map((name) => [name, join(ROOT, "node_modules", name)] as const),
    ...types.map((path) => [path.slice(path.indexOf("@types/")), join(ROOT, path)] as const),
  ];
  for (const [name, path] of links) {
    mkdirSync(dirname(join(modules, name)), { recursive: true });
    symlinkSync(path, join(modules, name));
  }
  writeFileSync(join(directory, "package.json"), '{ "private": true, "type": "module" }\n');
}

/** Ends and removes every named sandbox that the state of `env` has. */
export async function forgetSandboxes(env: Readonly<Record<string, string>>): Promise<void> {
  const { status, stdout, stderr } = await run([SBX, "ls", "-aq"], { env });
  if (status !== 0) throw new Error(`no list of sandboxes: ${stderr}`);
  const names = stdout.split("\n").filter(Boolean);
  if (names.length > 0) await run([SBX, "rm", "--force", ...names], { env });
}

function unpack(archive: string, directory: string): void {
  mkdirSync(directory, { recursive: true });
  execFileSync("tar", ["-xzf", archive, "-C", directory, "--strip-components=1"]);
}
