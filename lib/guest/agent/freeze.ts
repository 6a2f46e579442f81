/**
 * A call that keeps a guest's disk still: the agent's, and the supervisor's that passes it on.
 *
 * ```
 * called ── one byte ──► frozen ── end of stream 0 ──► result: it stood still from the byte on
 * ```
 *
 * @module
 */
import type { PlainCall } from "../../wire/call_client.ts";
import type { FrozenDisk } from "../guest.ts";

/** Resolves once nobody writes any more. @throws SbxError what the call failed of */
export async function frozenBy({ input, output, ok }: PlainCall): Promise<FrozenDisk> {
  const reader = output.stream.getReader();
  const { done } = await reader.read();
  if (done) await ok; // it says why, or that there was nothing to wait for
  return {
    async thaw() {
      output.discard();
      await input.stream.close().catch(() => {}); // the result says more
      await ok;
    },
  };
}
