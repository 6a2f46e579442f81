/**
 * A process whose standard streams go through the pumps of `sbx run`, with a pair of web streams
 * where the guest would be. Prints its peak memory, in MiB, as the last line of standard error.
 */
import process from "node:process";
import type { WriteStream } from "node:tty";
import { pumpIn, pumpOut } from "../../lib/cli/stdio.ts";

const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
const sending = pumpIn(process.stdin, writable);
const delivered = await pumpOut(readable, process.stdout as WriteStream);
if (delivered) await sending;
const peak = Math.round(process.resourceUsage().maxRSS / 1024);
process.stderr.write(`${delivered ? "delivered" : "broken"}\n${peak}\n`);
process.exit(0);
