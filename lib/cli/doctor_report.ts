/**
 * What the doctor found, as text for a report of a fault: the machine, the versions, and every finding.
 * Nothing of it names a user, a home, or an address of the network around.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { arch, availableParallelism, homedir, release, totalmem, type as system } from "node:os";
import process from "node:process";
import { escapeMessage } from "../base/escape.ts";
import { plural } from "../base/plural.ts";
import type { BuildInfo, Finding } from "../mod.ts";

const GIB = 2 ** 30;

/** Lines of Markdown. */
export function reportLines(
  findings: readonly Finding[],
  versions: BuildInfo,
): string[] {
  return [
    Object.entries(versions).map(([name, version]) => `${name} ${version}`).join(", "),
    `${system()} ${release()} ${arch()}, ${distribution()}`,
    `${availableParallelism()} processors, ${(totalmem() / GIB).toFixed(1)} GiB`,
    "",
    "| state | check | found |",
    "| --- | --- | --- |",
    ...findings.map((one) => `| ${one.state} | ${one.name} | ${cell(one)} |`),
  ];
}

/** Addresses of resolvers tell of somebody's network, and how many there are is what counts. */
function cell({ name, state, found }: Finding): string {
  if (name === "resolvers" && state === "ok") return plural(found.split(", ").length, "resolver");
  return escapeMessage(withoutHome(found)).replaceAll("|", "\\|");
}

function withoutHome(text: string): string {
  const home = homedir();
  return home.length > 1 ? text.replaceAll(home, "~") : text;
}

/** As os-release(5) has it. */
function distribution(): string {
  for (const path of ["/etc/os-release", "/usr/lib/os-release"]) {
    try {
      const name = /^PRETTY_NAME="?([^"\n]*)"?$/m.exec(readFileSync(path, "utf8"))?.[1];
      if (name !== undefined) return escapeMessage(name);
    } catch {
      // Not Linux, or a bare one.
    }
  }
  return process.platform;
}
