/**
 * Keys on their way from this terminal to a command. They are read as they come, whether the command
 * takes them or not: what ends a command must be seen of one that takes nothing.
 *
 * @module
 */
import type { ReadStream } from "node:tty";

/** More than anybody pastes. What a command has not taken beyond that is lost. */
const MAX_HELD_BYTES = 16 << 20;

/**
 * Copies what `sort` leaves of each chunk to the command's input, until the terminal's end. `lost` is
 * called once, when keys are dropped because the command took none.
 *
 * @throws what the system said when the terminal cannot be read
 */
export async function pumpKeys(
  source: ReadStream,
  sink: WritableStream<Uint8Array>,
  sort: (typed: Uint8Array) => Uint8Array,
  lost: () => void,
): Promise<void> {
  const writer = sink.getWriter();
  writer.closed.catch(() => {}); // nobody takes keys any more, but some are for sbx
  let held = 0;
  let isTold = false;
  try {
    for await (const typed of source) {
      const keys = sort(typed);
      if (keys.length === 0) continue;
      if (held + keys.length > MAX_HELD_BYTES) {
        if (!isTold) lost();
        isTold = true;
        continue;
      }
      held += keys.length;
      const taken = () => void (held -= keys.length);
      writer.write(keys).then(taken, taken);
    }
  } finally {
    await writer.close().catch(() => {});
  }
}
