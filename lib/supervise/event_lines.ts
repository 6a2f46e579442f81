/**
 * Events as a supervisor tells them, a line each: read as they come, so that whoever takes his time with them loses
 * what he would have lost beside the sandbox, and holds nobody up.
 *
 * @module
 */
import { SbxError } from "../base/errors.ts";
import { errorOf } from "../base/failure.ts";
import { LineCutter } from "../journal/line_cutter.ts";
import { Events, type SandboxEvent } from "../sandbox/events.ts";

export interface EventReading {
  /** Tells the supervisor that nobody reads any more. */
  readonly giveUp: () => void;
  /** Aborting it ends the reading. */
  readonly signal?: AbortSignal;
}

/** The reading begins now, whenever the first event is asked for. Rejects when the connection is lost. */
export function readEvents(
  output: ReadableStream<Uint8Array>,
  { giveUp, signal }: EventReading,
): AsyncGenerator<SandboxEvent, void> {
  const held = new Events();
  const reader = held.read(signal === undefined ? {} : { signal });
  let isTold = false;
  const over = (async () => {
    const lines = new LineCutter();
    for await (const bytes of output) {
      for (const line of lines.push(bytes)) {
        if (line === null) continue;
        const event: SandboxEvent = JSON.parse(line);
        isTold ||= event.kind === "exit";
        held.tell(event);
      }
    }
  })();
  void over.catch(() => {}).then(() => held.end(undefined));
  signal?.addEventListener("abort", giveUp, { once: true });
  if (signal?.aborted) giveUp();
  return (async function* () {
    try {
      for await (const event of reader) {
        if (event.kind !== "exit") yield event;
        else if (isTold) {
          yield event;
          return; // what `held` ends with is its own
        }
      }
      if (signal?.aborted !== true) await over;
    } finally {
      signal?.removeEventListener("abort", giveUp);
      giveUp();
    }
  })();
}

/** Calls back once the last event is told, unless the function that is returned was called before. */
export function callAtExit(
  read: (signal: AbortSignal) => AsyncIterable<SandboxEvent>,
  listener: (error: SbxError | undefined) => void,
): () => void {
  const enough = new AbortController();
  void exitOf(read(enough.signal)).then((error) => {
    if (!enough.signal.aborted) listener(error);
  });
  return () => enough.abort();
}

/** The failure that the last event tells, if there was one; or why there is no last event. */
async function exitOf(events: AsyncIterable<SandboxEvent>): Promise<SbxError | undefined> {
  try {
    for await (const event of events) {
      if (event.kind !== "exit") continue;
      return event.error === undefined ? undefined : errorOf(event.error);
    }
  } catch (error) {
    if (error instanceof SbxError) return error;
    throw error;
  }
  return undefined;
}
