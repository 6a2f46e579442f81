/**
 * Bytes between this process's standard streams and a command: unchanged, separate, and never more
 * in memory than one chunk each way plus what the streams themselves buffer.
 *
 * @module
 */
import type { ReadStream, WriteStream } from "node:tty";
import { systemCode } from "../base/file_error.ts";

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
  // The last write may still fail.
  if (failure === undefined && sink.writableLength > 0) {
    await Promise.race([new Promise((resolve) => sink.write("", resolve)), broken]);
  }
  if (failure === undefined) return true;
  if (systemCode(failure) === "EPIPE") return false;
  throw failure;
}
