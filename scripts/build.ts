/**
 * build.ts [MACHINE RUNTIME]: builds dist/sbx, one file for this machine that carries netstack, Lima's driver,
 * the agent's boot medium and the kernel. Or the same for another machine, with the Bun that runs there.
 *
 * @module
 */
import { mkdirSync } from "node:fs";
import { resolve } from "node:path";
import process from "node:process";
import { compile } from "./binary/compile.ts";
import { buildInfo, checkoutVersion } from "./binary/info.ts";
import { buildParts } from "./binary/parts.ts";
import { HERE, type Target } from "./binary/target.ts";

const root = resolve(import.meta.dirname, "..");
const [machine, runtime] = process.argv.slice(2);
const target: Target = machine === "x64" || machine === "arm64" ? { os: "linux", machine } : HERE;
const version = checkoutVersion(root);
mkdirSync(`${root}/dist`, { recursive: true });
await buildParts(root, target, version);
await compile(root, {
  target,
  info: buildInfo(root, target, version),
  effort: "quick",
  ...(runtime === undefined ? {} : { runtime }),
  out: machine === undefined ? "dist/sbx" : `dist/sbx-${machine}`,
});
