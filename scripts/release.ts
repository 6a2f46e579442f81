/**
 * release.ts VERSION [--dirty]: makes dist/release. Everything is built beside it first, so that what
 * stands there is whole.
 *
 * @module
 */
import { createHash } from "node:crypto";
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { resolve } from "node:path";
import process from "node:process";
import { compile } from "./binary/compile.ts";
import { buildInfo } from "./binary/info.ts";
import { buildParts } from "./binary/parts.ts";
import { tell } from "./binary/step.ts";
import { nameOf, type Target, TARGETS } from "./binary/target.ts";
import { writeDebian } from "./packages/debian.ts";
import { formula, type FormulaFile } from "./packages/formula.ts";
import { writeLibraryPackage, writePlatformPackage } from "./packages/npm.ts";
import { PROJECT } from "./packages/project.ts";
import { provenance } from "./packages/provenance.ts";
import { readRelease, type Release } from "./packages/release.ts";
import { billOfMaterials } from "./packages/sbom.ts";
import { tarballName, writeTarball } from "./packages/tarball.ts";
import { signAdHoc } from "./signature/sign.ts";
import { verifySignature } from "./signature/verify.ts";

const root = resolve(import.meta.dirname, "..");
const words = process.argv.slice(2);
const isDirty = words.includes("--dirty");
const [version = ""] = words.filter((word) => word !== "--dirty");

try {
  await write(readRelease(root, version, isDirty));
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 1;
}

async function write(release: Release): Promise<void> {
  const work = `${root}/dist/release.work`;
  const out = `${root}/dist/release.part`;
  for (const directory of [work, out]) rmSync(directory, { recursive: true, force: true });
  mkdirSync(work, { recursive: true });
  mkdirSync(`${out}/Formula`, { recursive: true });
  // What has been built is compressed while the next is built; what fails meanwhile is told behind that.
  const packages: Promise<unknown>[] = [];
  const begin = (each: Promise<unknown>) => {
    each.catch(() => {});
    packages.push(each);
  };
  for (const target of TARGETS) {
    const binary = await buildBinary(release, target, work);
    tell(`packages for ${nameOf(target)}`);
    begin(writeTarball(release, target, { binary, work, out }));
    begin(writePlatformPackage(release, target, { binary, work, out }));
    if (target.os === "linux") begin(writeDebian(release, target, { binary, work, out }));
  }
  await writeLibraryPackage(release, { work, out });
  tell("the packages' ends");
  await Promise.all(packages);
  writeFileSync(`${out}/Formula/sbx.rb`, formulaOf(release, out));
  writeFileSync(`${out}/RELEASE_NOTES.md`, release.notes);
  writeJson(`${out}/sbx-${version}.cdx.json`, billOfMaterials(release, TARGETS));
  const subjects = digestsOf(out);
  writeJson(`${out}/sbx-${version}.provenance.json`, provenance(release, subjects));
  const sums = digestsOf(out).map(({ name, sha256 }) => `${sha256}  ${name}\n`).join("");
  writeFileSync(`${out}/SHA256SUMS`, sums);
  rmSync(`${root}/dist/release`, { recursive: true, force: true });
  renameSync(out, `${root}/dist/release`);
  report(`${root}/dist/release`, work);
  rmSync(work, { recursive: true });
}

/** The binary of a target, signed where its system asks for that. */
async function buildBinary(release: Release, target: Target, work: string): Promise<string> {
  const out = `${work}/${nameOf(target)}/sbx`;
  mkdirSync(`${work}/${nameOf(target)}`);
  await buildParts(root, target, release.version);
  await compile(root, {
    target,
    info: buildInfo(root, target, release.version),
    effort: "thorough",
    runtime: runtimeOf(target),
    out: out.slice(root.length + 1),
  });
  if (target.os === "darwin") {
    const signed = signAdHoc(readFileSync(out), "sbx");
    const { spoilt } = verifySignature(signed);
    if (spoilt.length > 0) throw new Error(`Cannot sign ${out}: ${spoilt.length} pages do not fit`);
    writeFileSync(out, signed);
  }
  return out;
}

/** The Bun of a target, which scripts/release has unpacked. */
function runtimeOf(target: Target): string {
  const names = { "linux-x64": "x64-baseline", "linux-arm64": "arm64" } as Record<string, string>;
  const name = nameOf(target);
  return `${root}/.cache/tool/bun-${process.versions["bun"]}-${names[name] ?? name}/bun`;
}

function formulaOf(release: Release, out: string): string {
  const os = { linux: "linux", darwin: "macos" } as const;
  const cpu = { x64: "intel", arm64: "arm" } as const;
  const files = TARGETS.map((target): FormulaFile => {
    const name = tarballName(release, target, "xz");
    const url = `${PROJECT.downloads}/${release.version}/${name}`;
    return { os: os[target.os], cpu: cpu[target.machine], url, sha256: digestOf(`${out}/${name}`) };
  });
  return formula({ version: release.version, files });
}

function digestsOf(
  directory: string,
): readonly { readonly name: string; readonly sha256: string }[] {
  return readdirSync(directory, { recursive: true, encoding: "utf8" }).sort()
    .filter((name) => statSync(`${directory}/${name}`).isFile())
    .map((name) => ({ name, sha256: digestOf(`${directory}/${name}`) }));
}

function digestOf(path: string): string {
  return createHash("sha256").update(readFileSync(path)).digest("hex");
}

function writeJson(path: string, value: unknown): void {
  writeFileSync(path, `${JSON.stringify(value, null, 2)}\n`);
}

/** Sizes, in the unit that users see. */
function report(directory: string, work: string): void {
  const files = [
    ...readdirSync(directory).map((name) => [name, `${directory}/${name}`] as const),
    ...TARGETS.map(nameOf).map((name) => [`${name}, unpacked`, `${work}/${name}/sbx`] as const),
  ];
  for (const [name, path] of files) {
    const mb = (statSync(path).size / 1e6).toFixed(1);
    process.stdout.write(`${mb.padStart(7)} MB  ${name}\n`);
  }
}
