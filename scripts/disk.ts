/**
 * disk.ts IMAGE OUT: the image up to its last block that is not empty.
 *
 * @module
 */
import { readFileSync, writeFileSync } from "node:fs";
import process from "node:process";

const [image = "", out = ""] = process.argv.slice(2);

const BLOCK = 4096;

const bytes = readFileSync(image);
let end = bytes.length;
while (end > 0 && bytes.subarray(end - BLOCK, end).every((byte) => byte === 0)) end -= BLOCK;
writeFileSync(out, bytes.subarray(0, end));
