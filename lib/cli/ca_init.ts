/**
 * `sbx ca init`: an authority that is kept for all sandboxes to come.
 *
 * @module
 */
import type { Command } from "commander";
import { type AuthorityOptions, CertificateAuthority } from "../mod.ts";
import { factsText } from "./ca_facts.ts";
import { examples } from "./command.ts";
import { OK } from "./exit.ts";
import { ui } from "./ui.ts";
import { parseCount } from "./values.ts";

export function declare(command: Command): void {
  command.option("--force", "replace the authority that is kept already");
  declareAuthorityOptions(command);
  examples(command, [
    ["sbx ca init", "sandboxes with --tls-intercept use it from now on, instead of one each"],
    ["sbx ca init --name 'build farm' --days 90", "under a name of your own, for three months"],
  ]);
}

/** The options that `init` and `rotate` share. */
export function declareAuthorityOptions(command: Command): void {
  command
    .option("--name <name>", "its common name, which the guest sees")
    .option("--days <n>", "how long it is valid", (text) => parseCount("--days", text));
}

export async function run(command: Command): Promise<number> {
  const options = command.opts<AuthorityOptions & { readonly force?: true }>();
  ui.out(factsText(await CertificateAuthority.init(options)));
  return OK;
}
