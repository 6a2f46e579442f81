/**
 * A guest that stands still for a client: from what he hears of it until he has no more to say, or is gone.
 *
 * ```
 * asked ── its turn ── stands still ── told ──► held ── end of input ──────────► goes on, and that is the answer
 *   └───────────── given up, gone ──────────────┴── given up, gone, silent ──► goes on
 * ```
 *
 * A client that is stopped, as by Ctrl-Z, says nothing, and would have the guest stand still for as long. One that says
 * `beats` does say something all the time; those of an older sbx do not.
 *
 * @module
 */
import { type Clock, systemClock } from "../base/clock.ts";
import { SbxError } from "../base/errors.ts";
import { untilAborted } from "../base/until.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import type { Fields } from "../wire/call_result.ts";
import type { ServedCall } from "../wire/call_server.ts";
import { LineWriter } from "./line_writer.ts";
import { wanted } from "./wanted.ts";

/** Of a client that beats every five seconds, on a loaded machine. */
const SILENCE_MS = 60_000;

/** What there is to tell of a guest that stands still, and what lets it go on. */
interface Held {
  readonly tell: () => Promise<void>;
  readonly release: () => Promise<void>;
}

/** The disk stands still, from one byte on. */
export async function relayFreeze(
  sandbox: Pick<Sandbox, "freeze">,
  beats: boolean,
  call: ServedCall,
  clock?: Clock,
): Promise<Fields> {
  return await relay(call, beats, async (signal) => {
    const { thaw } = await sandbox.freeze(signal);
    const writer = call.output.getWriter();
    return { tell: () => writer.write(Uint8Array.of(1)), release: thaw };
  }, clock);
}

/** The machine stands still, saved, from a line on that says what is known of it. */
export async function relaySave(
  sandbox: Pick<Sandbox, "hold">,
  beats: boolean,
  call: ServedCall,
  clock?: Clock,
): Promise<Fields> {
  return await relay(call, beats, async (signal) => {
    const { facts, release } = await sandbox.hold(signal);
    const lines = new LineWriter(call.output);
    return { tell: () => lines.tell(facts), release };
  }, clock);
}

async function relay(
  call: ServedCall,
  beats: boolean,
  begin: (signal: AbortSignal) => Promise<Held>,
  clock: Clock = systemClock,
): Promise<Fields> {
  const enough = wanted(call);
  const silence = new AbortController();
  const { tell, release } = await begin(enough);
  try {
    await tell();
    const over = beats
      ? heard(call.input, silence, clock)
      : call.input.pipeTo(new WritableStream());
    await untilAborted(over, AbortSignal.any([enough, silence.signal]));
  } catch (error) {
    if (silence.signal.aborted) throw error;
    if (!enough.aborted && !(error instanceof SbxError)) throw error; // else nobody waits for it
  } finally {
    await release();
  }
  return {};
}

/** Resolves at the end of the input, and aborts when nothing comes of it for too long. */
async function heard(
  input: ReadableStream<Uint8Array>,
  silence: AbortController,
  clock: Clock,
): Promise<void> {
  const silent = () =>
    silence.abort(
      new SbxError(
        "STOPPED",
        `Cannot keep the guest still: whoever asked for it said nothing for ${
          SILENCE_MS / 1000
        } seconds`,
        { hint: "it has gone on; do it again" },
      ),
    );
  let disarm = clock.after(SILENCE_MS, silent);
  try {
    for await (const _ of input) {
      disarm();
      disarm = clock.after(SILENCE_MS, silent);
    }
  } finally {
    disarm();
  }
}
