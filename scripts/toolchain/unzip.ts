/**
 * unzip ARCHIVE DIRECTORY: unpacks a wheel with what the runtime has, so that a machine with neither
 * `unzip` nor Python can be set up. Stored and deflated members, no zip64: what wheels are made of.
 * The archive's digest was checked before; names that would leave DIRECTORY are refused all the same.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, resolve, sep } from "node:path";
import process from "node:process";
import { inflateRawSync } from "node:zlib";

const END_OF_DIRECTORY = 0x06054b50;
const DIRECTORY_ENTRY = 0x02014b50;

interface Member {
  readonly name: string;
  readonly method: number;
  readonly packed: number;
  readonly offset: number;
}

function* members(zip: Buffer): Generator<Member> {
  let end = zip.length - 22;
  while (end >= 0 && zip.readUInt32LE(end) !== END_OF_DIRECTORY) end--;
  if (end < 0) throw new Error("no end of central directory");
  let at = zip.readUInt32LE(end + 16);
  for (let left = zip.readUInt16LE(end + 10); left > 0; left--) {
    if (zip.readUInt32LE(at) !== DIRECTORY_ENTRY) throw new Error(`no directory entry at ${at}`);
    const nameLength = zip.readUInt16LE(at + 28);
    yield {
      name: zip.toString("utf8", at + 46, at + 46 + nameLength),
      method: zip.readUInt16LE(at + 10),
      packed: zip.readUInt32LE(at + 20),
      offset: zip.readUInt32LE(at + 42),
    };
    at += 46 + nameLength + zip.readUInt16LE(at + 30) + zip.readUInt16LE(at + 32);
  }
}

function bytesOf(zip: Buffer, member: Member): Buffer {
  const { offset, packed, method } = member;
  const start = offset + 30 + zip.readUInt16LE(offset + 26) + zip.readUInt16LE(offset + 28);
  const body = zip.subarray(start, start + packed);
  if (method === 0) return body;
  if (method === 8) return inflateRawSync(body);
  throw new Error(`unknown compression ${method} of ${member.name}`);
}

const [archive = "", directory = ""] = process.argv.slice(2);
const root = resolve(directory);
const zip = readFileSync(archive);
for (const member of members(zip)) {
  const path = join(root, member.name);
  if (!path.startsWith(root + sep)) throw new Error(`${member.name} leaves the directory`);
  if (member.name.endsWith("/")) continue;
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, bytesOf(zip, member));
}
