/**
 * `sbx init`: a first policy file for the project in the working directory.
 *
 * @module
 */
import type { Command } from "commander";
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { fileError, systemCode } from "../base/file_error.ts";
import { readTextFile } from "../base/text_file.ts";
import { SbxError } from "../mod.ts";
import {
  type Place,
  remotesOf,
  starterPolicy,
  TELLING_FILES,
} from "../policy/text/starter_policy.ts";
import { examples } from "./command.ts";
import { OK } from "./exit.ts";
import { ui } from "./ui.ts";

const DEFAULT_FILE = "sbx.yaml";
const GIT_CONFIG = ".git/config";

export function declare(command: Command): void {
  command.argument("[file]", "where to write it; - is standard output", DEFAULT_FILE);
  examples(command, [
    ["sbx init", "an allow list for the lock files and git remotes here, with comments"],
    ["sbx run --policy sbx.yaml -v .:/work -w /work -- npm ci", "and what it is for"],
  ]);
}

export async function run(command: Command): Promise<number> {
  const [file = DEFAULT_FILE] = command.processedArgs as readonly string[];
  const files = new Set(TELLING_FILES.filter((each) => existsSync(each)));
  const title = file === "-" ? DEFAULT_FILE : file;
  const { found, left, text } = starterPolicy(files, await remotes(), title);
  if (file === "-") {
    ui.out(text);
    return OK;
  }
  await writeNew(file, text);
  const what = found.length === 0 ? ", which allows nothing yet" : ` for ${found.join(", ")}`;
  ui.notice(`wrote ${file}${what}`);
  if (left.length > 0) ui.notice(`for you to decide, as a comment there: ${left.join(", ")}`);
  return OK;
}

/** None where there is no repository, or not its own directory of git's. */
async function remotes(): Promise<readonly Place[]> {
  if (!existsSync(GIT_CONFIG)) return [];
  return remotesOf(await readTextFile("read", GIT_CONFIG));
}

/** Never over a file, nor through a link. */
async function writeNew(file: string, text: string): Promise<void> {
  try {
    await writeFile(file, text, { flag: "wx" });
  } catch (cause) {
    if (systemCode(cause) !== "EEXIST") throw fileError("write", file, cause);
    throw new SbxError("FILE_UNREADABLE", `Cannot write ${file}: there is a file of that name`, {
      cause,
      hint: "name another one, as in 'sbx init other.yaml', or print it with 'sbx init -'",
    });
  }
}
