/**
 * `sbx ca export`: the kept authority's certificate, for clients that sbx does not reach.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { constants, writeFile } from "node:fs/promises";
import type { Command } from "commander";
import { Option } from "commander";
import process from "node:process";
import { fileError, systemCode } from "../base/file_error.ts";
import { isDescriptor } from "../journal/target.ts";
import { CertificateAuthority, SbxError } from "../mod.ts";
import { examples } from "./command.ts";
import { OK } from "./exit.ts";
import { ui } from "./ui.ts";

export function declare(command: Command): void {
  command
    .argument("[file]", "where to write it; - is standard output", "-")
    .addOption(
      new Option("--format <format>", "text, or the bytes").choices(["pem", "der"]).default("pem"),
    );
  examples(command, [
    ["sbx ca export", "print the certificate; the key is never exported"],
    ["sbx ca export --format der sbx.cer", "a file as phones and Windows want it"],
  ]);
}

export async function run(command: Command): Promise<number> {
  const [file = "-"] = command.processedArgs as readonly string[];
  const { format } = command.opts<{ format: "pem" | "der" }>();
  const authority = await CertificateAuthority.load();
  if (authority === null) {
    throw new SbxError("CA_MISSING", "Cannot export the authority: none is kept", {
      hint: "make one with 'sbx ca init'",
    });
  }
  const content = format === "pem" ? authority.certificatePem : authority.certificateDer;
  if (file !== "-") {
    // A link in a directory that guests write to must not choose what is overwritten.
    const { O_WRONLY, O_CREAT, O_TRUNC, O_NOFOLLOW } = constants;
    const flag = O_WRONLY | O_CREAT | O_TRUNC | (isDescriptor(file) ? 0 : O_NOFOLLOW);
    await writeFile(file, content, { flag }).catch((cause) => {
      const hint = systemCode(cause) === "ELOOP"
        ? "name the file that the link leads to"
        : undefined;
      throw fileError("write", file, cause, hint);
    });
  } else if (typeof content === "string") ui.out(content);
  else if (process.stdout.isTTY) {
    throw new SbxError("USAGE", "Cannot print a certificate in DER: a terminal shows only text", {
      hint: "name a file, or leave out --format",
    });
  } else ui.bytes(Buffer.from(content));
  return OK;
}
