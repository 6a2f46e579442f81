/**
 * `sbx __unpack`: where the files are that sbx carries; asked by the library that npm installs beside it.
 *
 * @module
 */
import { carriedFiles } from "../api/carried_files.ts";
import { OK } from "./exit.ts";
import { ui } from "./ui.ts";

export function declare(): void {}

export async function run(): Promise<number> {
  ui.out(`${JSON.stringify(await carriedFiles())}\n`);
  return OK;
}
