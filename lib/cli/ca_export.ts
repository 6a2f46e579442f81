/**
 * `sbx ca export`: the kept authority's certificate, for clients that sbx does not reach.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { constants, rm, writeFile } from "node:fs/promises";
import type { Command } from "commander";
import { Option } from "commander";
import process from "node:process";
import { escapeText } from "../base/escape.ts";
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
    )
    .option("--force", "replace a file that is there already");
  examples(command, [
    ["sbx ca export", "print the certificate; the key is never exported"],
    ["sbx ca export --format der sbx.cer", "a file as phones and Windows want it"],
  ]);
}

export async function run(command: Command): Promise<number> {
  const [file = "-"] = command.processedArgs as readonly string[];
  const { format, force } = command.opts<{ format: "pem" | "der"; force?: true }>();
  const authority = await CertificateAuthority.load();
  if (authority === null) {
    throw new SbxError("CA_MISSING", "Cannot export the authority: none is kept", {
      hint: "make one with 'sbx ca init'",
    });
  }
  const content = format === "pem" ? authority.certificatePem : authority.certificateDer;
  if (file !== "-") {
    await write(file, content, force === true);
    const { subject } = authority;
    ui.notice(`wrote the certificate of ${escapeText(subject)} to ${escapeText(file)}`);
  } else if (typeof content === "string") ui.out(content);
  else if (process.stdout.isTTY) {
    throw new SbxError("USAGE", "Cannot print a certificate in DER: a terminal shows only text", {
      hint: "name a file, or leave out --format",
    });
  } else ui.bytes(Buffer.from(content));
  return OK;
}

/** A link in a directory that guests write to must not choose what is overwritten. */
async function write(file: string, content: string | Uint8Array, replace: boolean): Promise<void> {
  const { O_WRONLY, O_CREAT, O_EXCL, O_TRUNC, O_NOFOLLOW } = constants;
  const isStream = isDescriptor(file) || file === "/dev/null";
  const how = isStream ? O_TRUNC : replace ? O_TRUNC | O_NOFOLLOW : O_EXCL;
  try {
    await writeFile(file, content, { flag: O_WRONLY | O_CREAT | how });
  } catch (cause) {
    const code = systemCode(cause);
    if (code === "EEXIST") {
      throw new SbxError(
        "FILE_UNREADABLE",
        `Cannot write ${escapeText(file)}: it is there already`,
        {
          hint: "replace it with --force",
        },
      );
    }
    // What was begun is no certificate.
    if (how === O_EXCL && code === "ENOSPC") await rm(file, { force: true }).catch(() => {});
    const hint = code === "ELOOP" ? "name the file that the link leads to" : undefined;
    throw fileError("write", file, cause, hint);
  }
}
