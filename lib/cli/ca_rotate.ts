/**
 * `sbx ca rotate`: a new authority in the place of the kept one.
 *
 * @module
 */
import type { Command } from "commander";
import { type AuthorityOptions, CertificateAuthority } from "../mod.ts";
import { factsText } from "./ca_facts.ts";
import { declareAuthorityOptions } from "./ca_init.ts";
import { examples } from "./command.ts";
import { OK } from "./exit.ts";
import { ui } from "./ui.ts";

export function declare(command: Command): void {
  declareAuthorityOptions(command);
  examples(command, [
    ["sbx ca rotate", "a new key and certificate, under the same name and for as long"],
  ]);
}

export async function run(command: Command): Promise<number> {
  ui.out(factsText(await CertificateAuthority.rotate(command.opts<AuthorityOptions>())));
  return OK;
}
