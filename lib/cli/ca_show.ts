/**
 * `sbx ca show`: which authority is kept.
 *
 * @module
 */
import type { Command } from "commander";
import { CertificateAuthority } from "../mod.ts";
import { factsJson, factsText } from "./ca_facts.ts";
import { examples } from "./command.ts";
import { NO, OK } from "./exit.ts";
import { ui } from "./ui.ts";

export function declare(command: Command): void {
  command.option("--json", "print one JSON object instead of lines; null when none is kept");
  examples(command, [
    ["sbx ca show", "its subject, fingerprint, validity and path; status 1 when there is none"],
    ["sbx ca show --json | jq -r .notAfter", "when it expires"],
  ]);
}

export async function run(command: Command): Promise<number> {
  const authority = await CertificateAuthority.load();
  const { json } = command.opts<{ json?: true }>();
  if (authority !== null) ui.out(json ? factsJson(authority) : factsText(authority));
  else if (json) ui.out("null\n");
  else ui.notice("no authority is kept: each sandbox with --tls-intercept makes its own");
  return authority === null ? NO : OK;
}
