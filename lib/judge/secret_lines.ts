/**
 * What becomes of secrets in a flow that passes, in words: which values its requests get, and what any other
 * placeholder would be. Pure.
 *
 * @module
 */
import { isHostOf, type Secret, type SecretSettings } from "../policy/model/secret.ts";
import { placesText } from "../policy/text/secret_text.ts";
import type { FlowInfo } from "./flow_info.ts";
import type { Outcome } from "./simulate.ts";
import type { Snapshot } from "./snapshot.ts";

/** None for flows in which there is nothing to say of secrets. `name`: what the flow states. */
export function secretLines(
  { secrets, onViolation }: SecretSettings,
  { pins }: Pick<Snapshot, "pins">,
  { info, outcome, name }: {
    readonly info: FlowInfo;
    readonly outcome: Outcome;
    readonly name: string | undefined;
  },
): string[] {
  const isRead = outcome.verdict === "allow" && info.dir === "outbound" &&
    !info.proto.startsWith("icmp");
  if (secrets.length === 0 || !isRead) return [];
  const why = withheldBecause(outcome, name === undefined || pins.has(name, info.dst));
  const own = name === undefined ? [] : secrets.filter((secret) => isHostOf(secret, name));
  const granted = why === null ? own : [];
  const others = granted.length === 0 ? "placeholders" : "other placeholders";
  return [
    ...own.map((secret) => `secret ${secret.name}: ${why ?? fateOf(secret)}`),
    ...(granted.some(({ exclusive }) => exclusive)
      ? ["other credentials: refused (foreign-credential)"]
      : []),
    ...(own.length === secrets.length ? [] : [`${others}: ${onViolation} (secret-violation)`]),
  ];
}

function fateOf(secret: Secret): string {
  return `its value takes the place of its placeholder (${placesText(secret)})`;
}

function withheldBecause({ tls }: Outcome, isPinned: boolean): string | null {
  if (tls !== "intercepted") return "no value is sent without TLS that sbx opens";
  return isPinned ? null : "no value is sent to an address that the name was not resolved to";
}
