/**
 * A call that keeps a guest's disk still: the agent's, and the supervisor's that passes it on.
 *
 * ```
 * called ── one byte ──► frozen ── end of stream 0 ──► result: it stood still from the byte on
 * ```
 *
 * @module
 */
import { type Clock, systemClock } from "../../base/clock.ts";
import { SbxError } from "../../base/errors.ts";
import { inTime } from "../../base/in_time.ts";
import type { PlainCall } from "../../wire/call_client.ts";
import type { FrozenDisk } from "../guest.ts";

/** How long a guest is waited for: it may have much to write, and need not answer at all. */
const STILL_MS = 60_000;
const GOES_ON_MS = 30_000;

/**
 * Resolves once nobody writes any more, unless that takes too long. A guest that comes to stand still when
 * nobody waits for it any longer goes on at once.
 *
 * @throws SbxError what the call failed of, GUEST_FAILED for a guest that does not answer in time
 */
export async function frozenInTime(
  call: PlainCall,
  clock: Clock = systemClock,
): Promise<FrozenDisk> {
  const late = (doing: string, ms: number, hint: string) =>
    new SbxError(
      "GUEST_FAILED",
      `Cannot ${doing}: the guest did not answer in ${ms / 1000} seconds`,
      { hint },
    );
  let frozen: FrozenDisk;
  try {
    frozen = await inTime(
      frozenBy(call),
      STILL_MS,
      () => late("keep the guest's disk still", STILL_MS, "stop it, and do this then"),
      clock,
    );
  } catch (error) {
    letGo(call);
    throw error;
  }
  return {
    thaw: () =>
      inTime(
        frozen.thaw(),
        GOES_ON_MS,
        () => late("let the guest go on", GOES_ON_MS, "stop it"),
        clock,
      ),
  };
}

/** Resolves once nobody writes any more, however long that takes. @throws SbxError what the call failed of */
export async function frozenBy(call: PlainCall): Promise<FrozenDisk> {
  const reader = call.output.stream.getReader();
  const { done } = await reader.read();
  if (done) await call.ok; // it says why, or that there was nothing to wait for
  return {
    async thaw() {
      await letGo(call);
      await call.ok;
    },
  };
}

async function letGo({ input, output }: PlainCall): Promise<void> {
  output.discard();
  await input.stream.close().catch(() => {}); // the result says more
}
