/**
 * Bytes between this process's standard streams and a command: unchanged, separate, and never more
 * in memory than one chunk each way plus what the streams themselves buffer.
 *
 * @module
 */
import { setImmediate } from "node:timers";
import { setTimeout as delay } from "node:timers/promises";
import type { Writable } from "node:stream";
import type { ReadStream } from "node:tty";
import { fileError, systemCode } from "../base/file_error.ts";

/** A reader that takes nothing for so long counts as gone, once the command has been told to end. */
const STUCK_MS = 2000;

/**
 * Copies `source` to the command's input until its end. When the command closes its input first,
 * `source` is closed as well, so that whoever writes to us learns it the usual way.
 *
 * @throws what the system said when `source` cannot be read, after closing the command's input
 */
export async function pumpIn(
  source: ReadStream,
  sink: WritableStream<Uint8Array>,
): Promise<void> {
  const writer = sink.getWriter();
  let taken = true;
  writer.closed.catch(() => {
    taken = false;
    source.destroy();
  });
  try {
    for await (const chunk of source) {
      await writer.ready;
      writer.write(chunk).catch(() => {});
    }
  } catch (error) {
    if (taken) throw error;
  } finally {
    await writer.close().catch(() => {});
  }
}

/**
 * Copies what the command prints to `sink`. Resolves to false when nobody reads `sink` any more;
 * the command's stream is then cancelled. Once `ending` has resolved, a reader that is stuck counts
 * as nobody: an end that was asked for does not wait for it. `see` is shown every chunk.
 *
 * @throws SbxError FILE_UNREADABLE when `sink` fails otherwise
 */
export async function pumpOut(
  source: ReadableStream<Uint8Array>,
  sink: Writable,
  ending: Promise<unknown> = new Promise(() => {}),
  see: (chunk: Uint8Array) => void = () => {},
): Promise<boolean> {
  const broken = new Promise<Error>((resolve) => sink.once("error", resolve));
  let failure: Error | undefined;
  void broken.then((error) => failure = error);
  for await (const chunk of source) {
    see(chunk);
    if (!sink.write(chunk)) {
      const drained = new Promise((resolve) => sink.once("drain", resolve));
      if (await isStuck(Promise.race([drained, broken]), ending)) return abandon(sink);
    }
    if (failure !== undefined) break;
  }
  if (await isStuck(Promise.race([delivered(sink), broken]), ending)) return abandon(sink);
  if (failure === undefined) return true;
  if (systemCode(failure) === "EPIPE") return false;
  throw fileError("write", "the command's output", failure);
}

/** Whether the reader still has not taken what it was given, so long after the end was asked for. */
async function isStuck(taken: Promise<unknown>, ending: Promise<unknown>): Promise<boolean> {
  const timer = new AbortController();
  const late = ending.then(() => delay(STUCK_MS, true, { signal: timer.signal }));
  const stuck = await Promise.race([taken.then(() => false), late]);
  timer.abort();
  late.catch(() => {});
  return stuck;
}

/** What `sink` still holds is dropped, so that nothing waits for it. */
function abandon(sink: Writable): false {
  sink.destroy();
  return false;
}

/** Resolves when what was written has left this process; when it could not, the error event came. */
export async function delivered(sink: Writable): Promise<void> {
  if (sink.destroyed) return;
  await new Promise<void>((resolve) => sink.write("", () => resolve()));
  // The failure of a synchronous write is reported a turn after its callback.
  await new Promise((resolve) => setImmediate(resolve));
}
