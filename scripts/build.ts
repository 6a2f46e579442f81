/**
 * Builds dist/sbx: one file for this machine that carries netstack, Lima's driver, the agent's boot medium and the
 * kernel.
 *
 * @module
 */
import { mkdirSync } from "node:fs";
import { resolve } from "node:path";
import { compile } from "./binary/compile.ts";
import { buildInfo, checkoutVersion } from "./binary/info.ts";
import { buildParts } from "./binary/parts.ts";
import { HERE } from "./binary/target.ts";

const root = resolve(import.meta.dirname, "..");
const version = checkoutVersion(root);
mkdirSync(`${root}/dist`, { recursive: true });
buildParts(root, HERE, version);
compile(root, {
  target: HERE,
  info: buildInfo(root, HERE, version),
  effort: "quick",
  out: "dist/sbx",
});
