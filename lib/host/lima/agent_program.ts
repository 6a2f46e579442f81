/**
 * The agent's program, out of the boot medium whose `/init` it is: a cpio archive of the "newc" format, as
 * scripts/initramfs.ts writes it.
 *
 * @module
 */
import type { Buffer } from "node:buffer";
import { readFile } from "node:fs/promises";
import { usableAsset } from "../usable_asset.ts";

const HEAD = 110;
const MAGIC = "070701";

/** @throws SbxError FILE_UNREADABLE, REQUIREMENT_MISSING */
export async function agentProgram(notice: (line: string) => void): Promise<Buffer> {
  const medium = await readFile(await usableAsset("initramfs", notice));
  for (let at = 0; medium.toString("latin1", at, at + MAGIC.length) === MAGIC;) {
    const field = (index: number) => {
      const from = at + MAGIC.length + 8 * index;
      return parseInt(medium.toString("latin1", from, from + 8), 16);
    };
    const [size, named] = [field(6), field(11)];
    const name = medium.toString("latin1", at + HEAD, at + HEAD + named - 1);
    const content = aligned(at + HEAD + named);
    if (name === "init") return medium.subarray(content, content + size);
    at = aligned(content + size);
  }
  throw new TypeError("the boot medium has no agent");
}

function aligned(at: number): number {
  return Math.ceil(at / 4) * 4;
}
