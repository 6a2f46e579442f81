/**
 * A guest that stands still for this process, as its supervisor has it: the calls `freeze` and `save`. While it does,
 * something is said all the time, since it would go on otherwise.
 *
 * @module
 */
import { z } from "zod";
import { type Clock, systemClock } from "../base/clock.ts";
import { SbxError } from "../base/errors.ts";
import { frozenBy } from "../guest/agent/freeze.ts";
import type { FrozenDisk } from "../guest/guest.ts";
import type { HeldMachine } from "../guest/saved.ts";
import type { PlainCall } from "../wire/call_client.ts";
import { jsonOf } from "./record.ts";

const BEAT_MS = 5_000;

/** What is known of a saved machine, as it is told and written down. */
export const savedFacts = {
  key: z.string().regex(/^[0-9a-f]{64}$/),
  calls: z.number().int().nonnegative(),
  tscKHz: z.number().int().nonnegative(),
};

const MOST_FACTS = 4096;

/** @throws SbxError what the call failed of */
export async function frozenFor(call: PlainCall, clock?: Clock): Promise<FrozenDisk> {
  await frozenBy(call);
  return { thaw: beating(call, clock) };
}

/** Whoever saves it answers with one line, and holds it until nothing more is said. */
export async function heldFor(call: PlainCall, clock?: Clock): Promise<HeldMachine> {
  const { output, ok } = call;
  const reader = output.stream.getReader();
  const decoder = new TextDecoder();
  let text = "";
  while (!text.endsWith("\n")) {
    const { done, value } = await reader.read();
    if (done || text.length > MOST_FACTS) {
      await ok; // it says why
      throw new SbxError(
        "PROTOCOL",
        "Cannot save the guest's memory: its supervisor says nothing of it",
      );
    }
    text += decoder.decode(value, { stream: true });
  }
  const release = beating(call, clock);
  const known = z.object(savedFacts).safeParse(jsonOf(text)).data;
  if (known !== undefined) return { facts: known, release };
  await release();
  throw new SbxError("PROTOCOL", "Cannot save the guest's memory: what is said of it is malformed");
}

/** Says that somebody is there until the function that it answers is called, which ends the call. */
function beating(
  { input, output, ok }: PlainCall,
  clock: Clock = systemClock,
): () => Promise<void> {
  const writer = input.stream.getWriter();
  writer.closed.catch(() => {}); // the result says more
  let disarm = () => {};
  const wait = () => void (disarm = clock.after(BEAT_MS, beat));
  const beat = () => {
    void writer.write(Uint8Array.of(1)).catch(() => {});
    wait();
  };
  wait();
  return async () => {
    disarm();
    output.discard();
    await writer.close().catch(() => {}); // the result says more
    await ok;
  };
}
