/**
 * Placeholders of secrets in what a flow says before anybody is dialled. Pure.
 *
 * @module
 */
import { describeSightings } from "../secret/violation.ts";
import type { FirstJudgement } from "./first_judgement.ts";
import type { Snapshot } from "./snapshot.ts";

const HANDSHAKE = 22; // RFC 8446 5.1

/**
 * The same judgement, unless there is a placeholder in the bytes: they go out in the clear, or to whom
 * nothing is known of, so that it belongs to nobody who would read them. Requests that are relayed are
 * looked at one by one, where they are.
 */
export function watched(
  { tripwire }: Pick<Snapshot, "tripwire">,
  judgement: FirstJudgement,
  bytes: Uint8Array,
): FirstJudgement {
  const { ruling, stated } = judgement;
  if (tripwire === null || ruling.serve === "http") return judgement;
  const sightings = tripwire.scan(bytes);
  if (sightings.length === 0) return judgement;
  const carried = { sightings, route: bytes[0] === HANDSHAKE ? "tls-name" : "stream" } as const;
  // What is refused anyway has a reason of its own, and was on its way all the same.
  if (ruling.action === "deny") return { ...judgement, carried };
  const { name } = ruling;
  return {
    ruling: {
      action: "deny",
      reason: "secret-violation",
      detail: describeSightings(sightings),
      ...(name === undefined ? {} : { name }),
    },
    stated,
    carried,
  };
}
