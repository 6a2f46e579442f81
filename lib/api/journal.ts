/**
 * Journals as a program reads them.
 *
 * @module
 */
import { optionsOf } from "../base/misuse.ts";
import { type JournalRecord, parseLine } from "../journal/format.ts";
import { LineCutter } from "../journal/line_cutter.ts";
import type { Abortable } from "./abortable.ts";

export type { JournalRecord };

/** How a journal is read. */
export interface ReadJournalOptions extends Abortable {
  /** Goes on with what is added to the file, until the caller asks for no more or aborts; false when absent. */
  readonly follow?: boolean;
}

/**
 * The lines of the journal that `SandboxBuilder.journal` or `sbx run --log` wrote, in order; null for
 * each that is no line of a journal. However large the file is, memory holds a few lines of it.
 *
 * @throws SbxError FILE_UNREADABLE, USAGE, and the signal's reason
 */
export async function* readJournal(
  path: string,
  options: ReadJournalOptions = {},
): AsyncGenerator<JournalRecord | null, void> {
  const { follow = false, signal } = optionsOf("readJournal(…)", options, {
    follow: true,
    signal: true,
  });
  const { fileBytes } = await import("../host/follow.ts");
  const reading = { follow, ...(signal === undefined ? {} : { signal }) };
  const cutter = new LineCutter();
  for await (const bytes of fileBytes(path, reading)) yield* records(cutter.push(bytes));
  yield* records(cutter.end());
}

function* records(lines: Iterable<string | null>): Generator<JournalRecord | null, void> {
  for (const line of lines) {
    if (line === null) yield null;
    else if (line.trim() !== "") yield parseLine(line);
  }
}
