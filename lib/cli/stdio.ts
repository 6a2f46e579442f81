/**
 * Bytes between this process's standard streams and a command: unchanged, separate, and never more
 * in memory than one chunk each way plus what the streams themselves buffer.
 *
 * @module
 */
import { setImmediate } from "node:timers";
import type { ReadStream, WriteStream } from "node:tty";
import { fileError, systemCode } from "../base/file_error.ts";

/**
 * Copies `source` to the command's input until its end. When the command closes its input first,
 * `source` is closed as well, so that whoever writes to us learns it the usual way.
 *
 * @throws what the system said when `source` cannot be read, after closing the command's input
 */
export async function pumpIn(source: ReadStream, sink: WritableStream<Uint8Array>): Promise<void> {
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
 * the command's stream is then cancelled.
 *
 * @throws SbxError FILE_UNREADABLE when `sink` fails otherwise
 */
export async function pumpOut(
  source: ReadableStream<Uint8Array>,
  sink: WriteStream,
): Promise<boolean> {
  const broken = new Promise<Error>((resolve) => sink.once("error", resolve));
  let failure: Error | undefined;
  void broken.then((error) => failure = error);
  for await (const chunk of source) {
    if (!sink.write(chunk)) {
      await Promise.race([new Promise((resolve) => sink.once("drain", resolve)), broken]);
    }
    if (failure !== undefined) break;
  }
  await Promise.race([delivered(sink), broken]);
  if (failure === undefined) return true;
  if (systemCode(failure) === "EPIPE") return false;
  throw fileError("write", "the command's output", failure);
}

/** Resolves when what was written has left this process; when it could not, the error event came. */
export async function delivered(sink: WriteStream): Promise<void> {
  if (sink.destroyed) return;
  await new Promise<void>((resolve) => sink.write("", () => resolve()));
  // The failure of a synchronous write is reported a turn after its callback.
  await new Promise((resolve) => setImmediate(resolve));
}
