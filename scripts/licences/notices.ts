/**
 * notices.ts TARGET OUT: writes the notices of a build whose Go programs stand in vendor/bin: for each
 * part of the binary its name, version and licence text, equal texts once.
 *
 * @module
 */
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import process from "node:process";
import { type Component, goModules, npmPackages } from "./components.ts";

const [target = "", out = ""] = process.argv.slice(2);
const root = resolve(import.meta.dirname, "../..");
const machine = target.split("-")[1] ?? "";

/** Texts that Debian keeps for all its packages. */
const common = (name: string) => readFileSync(`/usr/share/common-licenses/${name}`, "utf8").trim();

const LICENCE_FILE = /^(licen[cs]e|copying|notice|authors|patents)([-._].*)?$/i;

function licenceOf({ name, directory }: Component): string {
  const files = readdirSync(directory).filter((file) => LICENCE_FILE.test(file)).sort();
  if (files.length === 0) throw new Error(`${name} has no licence file in ${directory}`);
  return files.map((file) => readFileSync(join(directory, file), "utf8").trim()).join("\n\n");
}

const go = goModules(root, [
  `vendor/bin/${target}/netstack`,
  `vendor/bin/${target}/lima-driver`,
  `vendor/bin/linux-${machine}/agent`,
  `vendor/bin/linux-${machine}/sshd`,
]);
const npm = npmPackages(root);

const rule = "=".repeat(80);
const section = (title: string, text: string) => `${rule}\n${title}\n${rule}\n\n${text.trim()}\n`;

const byText = new Map<string, string[]>();
for (const component of [...npm, ...go]) {
  const text = licenceOf(component);
  byText.set(text, [...byText.get(text) ?? [], `${component.name} ${component.version}`]);
}

const goVersion = execFileSync("go", ["env", "GOVERSION"], { encoding: "utf8" }).trim();
const kernel = readFileSync(join(root, ".cache/kernel", machine, "package"), "utf8").trim().split(
  "\n",
);
const [, kernelVersion = ""] = kernel[0]?.split("_") ?? [];
const source = readFileSync(join(root, "scripts/licences/kernel.txt"), "utf8")
  .replaceAll("VERSION", kernelVersion);
const runtime = readFileSync(join(root, "scripts/licences/bun.txt"), "utf8");

const text = [
  "sbx is under the Apache License 2.0 (LICENSE). Its binary also carries what follows.\n",
  section(
    `Linux kernel and modules (${kernel.join(", ")}): GPL-2.0 with the Linux syscall note`,
    `${source.trim()}\n\n${common("GPL-2")}`,
  ),
  section(
    `Bun ${process.versions.bun}`,
    `${runtime.trim()}\n\n${common("LGPL-2")}\n\n${common("LGPL-2.1")}`,
  ),
  section(
    `Go ${goVersion.replace("go", "")}: runtime and standard library`,
    readFileSync(join(root, "scripts/licences/go.txt"), "utf8"), // the wheel of PyPI has none
  ),
  ...[...byText].map(([text, names]) => section(names.join("\n"), text)),
].join("\n");
writeFileSync(join(root, out), text);
