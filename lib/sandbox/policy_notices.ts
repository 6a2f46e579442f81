/**
 * What a person should know about a policy before the guest runs under it.
 *
 * @module
 */
import { compilePolicy } from "../policy/decide/compile.ts";
import { evaluate } from "../policy/decide/evaluate.ts";
import { warnings } from "../policy/decide/warnings.ts";
import type { PinTable, Policy } from "../policy/model/policy.ts";
import { formatRule } from "../policy/text/grammar.ts";
import { secretText } from "../policy/text/secret_text.ts";
import type { NetworkOptions, Publication } from "./options.ts";

export function policyNotices({ policy, publish, tls, secrets }: NetworkOptions): string[] {
  return [
    ...secrets.secrets.map((secret) => `secret ${secretText(secret)}`),
    ...warnings(policy).map(({ message }) => `policy: ${message}`),
    ...publish.flatMap((publication) => refusal(policy, publication)),
    ...(tls.intercept && !tls.verifyUpstream ? [UNVERIFIED] : []),
  ];
}

const UNVERIFIED =
  "tls: servers are not verified: whoever is between them and sbx reads and writes along";

const NO_PINS: PinTable = { namesOf: () => [], has: () => false };

/** Where a port that is bound to loopback has its peers. */
const LOOPBACK = "127.0.0.1";

/**
 * A published port that refuses this very machine, which is most likely not meant. One that is bound
 * to another address has peers that nobody knows yet; the machine stands for them as well.
 */
function refusal(policy: Policy, { hostPort, guestPort, protocol }: Publication): string[] {
  const { action, rule } = evaluate(
    compilePolicy(policy),
    {
      direction: "inbound",
      protocol,
      address: LOOPBACK,
      port: guestPort,
      phase: "final",
    },
    NO_PINS,
    new Set(),
  );
  if (action === "allow") return [];
  const by = rule === undefined ? undefined : policy.rules[rule];
  const why = by === undefined
    ? "no rule allows inbound flows"
    : `rule ${rule}, ${formatRule(by)}, denies them`;
  return [
    `published port ${hostPort} will refuse connections from this machine: ${why}; ` +
    `--rule allow:inbound@loopback:${protocol}:${guestPort} would allow them`,
  ];
}
