/**
 * A ruling as the message that carries it out.
 *
 * @module
 */
import type { Ruling } from "../judge/ruling.ts";
import type { Snapshot } from "../judge/snapshot.ts";
import type { VerdictMessage } from "./control_message.ts";

/** What netstack is told of the ruling. */
export function toVerdict(snapshot: Snapshot, id: number, ruling: Ruling): VerdictMessage {
  const { action, serve, dial, ttlMs, waitMs } = ruling;
  const reject = action === "deny" &&
    (ruling.reject ?? snapshot.compiled.policy.denyWith === "reject");
  return {
    t: "verdict",
    id,
    epoch: snapshot.generation,
    action,
    ...(reject ? { reject } : {}),
    ...(dial === undefined ? {} : { dial }),
    ...(action === "redirect" && serve === "dns" ? { serve: true } : {}),
    ...(ttlMs === undefined ? {} : { ttlMs }),
    ...(waitMs === undefined ? {} : { waitMs }),
  };
}
