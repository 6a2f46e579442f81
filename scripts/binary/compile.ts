/**
 * The binary itself: the program in Bun's runtime, with its parts embedded. They are named as further
 * entry points, since no import attribute for files is understood by Bun and Deno alike; lib/host/assets.ts
 * finds them again by their names.
 *
 * @module
 */
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { relative } from "node:path";
import process from "node:process";
import type { BuildInfo } from "./info.ts";
import { type Effort, pack } from "./pack.ts";
import { PARTS } from "./parts.ts";
import { step, tell } from "./step.ts";
import { addStub } from "./stub/add_stub.ts";
import { stubOf } from "./stub/code.ts";
import { partsOf, type Target } from "./target.ts";

export interface Compilation {
  readonly target: Target;
  readonly info: BuildInfo;
  readonly effort: Effort;
  /** The Bun to carry; by default the one that compiles. */
  readonly runtime?: string;
  /** Path of the binary. */
  readonly out: string;
}

/** Compiles parts that stand built in vendor/bin. */
export async function compile(
  root: string,
  { target, info, effort, runtime, out }: Compilation,
): Promise<void> {
  tell(`packing the parts of ${out}`);
  const packed = await Promise.all(PARTS.map(async ({ name, of }) => ({
    name,
    ...await pack(`${root}/${partsOf(of(target))}/${name}`, effort),
  })));
  const contents = packed.map(({ name, size, digest }) => [name, { size, digest }] as const);
  const part = `${root}/${out}.part`;
  await step(out, process.execPath, [
    "build",
    "main.ts",
    ...packed.map(({ path }) => `./${relative(root, path)}`),
    "--compile",
    ...runtime === undefined
      ? []
      : [`--target=${bunTarget(target)}`, `--compile-executable-path=${runtime}`],
    "--minify",
    "--bytecode",
    "--format=esm",
    `--define=SBX_BUILD=${JSON.stringify(info)}`,
    `--define=SBX_CONTENTS=${JSON.stringify(Object.fromEntries(contents))}`,
    // A sandbox must not change its mind because of a file in the directory that it was started in.
    "--no-compile-autoload-dotenv",
    "--no-compile-autoload-bunfig",
    "--no-compile-autoload-tsconfig",
    "--no-compile-autoload-package-json",
    `--outfile=${part}`,
  ], { cwd: root });
  // What its runtime cannot start without is missed in words of ours.
  if (target.os === "linux") {
    writeFileSync(part, addStub(readFileSync(part), stubOf(target.machine)));
  }
  renameSync(part, `${root}/${out}`);
}

/** Processors without AVX2, and emulators, run the baseline build; every Mac that macOS 13 runs on has it. */
function bunTarget({ os, machine }: Target): string {
  return `bun-${os}-${machine}${os === "linux" && machine === "x64" ? "-baseline" : ""}`;
}
