/**
 * What a person should know about a policy before the guest runs under it.
 *
 * @module
 */
import { type CompiledPolicy, compilePolicy } from "../policy/decide/compile.ts";
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
    ...refusals(policy, publish),
    ...(tls.intercept && !tls.verifyUpstream ? [UNVERIFIED] : []),
  ];
}

const UNVERIFIED =
  "tls: servers are not verified: whoever is between them and sbx reads and writes along";

const NO_PINS: PinTable = { namesOf: () => [], has: () => false };

/** Where a port that is bound to loopback has its peers. */
const LOOPBACK = "127.0.0.1";

/**
 * Published ports that refuse this very machine, which is most likely not meant; those that follow one
 * another are one line. A port that is bound to another address has peers that nobody knows yet; the
 * machine stands for them as well.
 */
function refusals(policy: Policy, publish: readonly Publication[]): string[] {
  const compiled = compilePolicy(policy);
  const ranges: { first: Publication; count: number; why: string }[] = [];
  for (const publication of publish) {
    const why = refusal(compiled, publication);
    if (why === null) continue;
    const last = ranges.at(-1);
    if (last?.why === why && follows(last.first, last.count, publication)) last.count++;
    else ranges.push({ first: publication, count: 1, why });
  }
  return ranges.map(({ first: { hostPort, guestPort, protocol }, count, why }) => {
    const ports = (from: number) => count === 1 ? `${from}` : `${from}-${from + count - 1}`;
    const published = count === 1
      ? `published port ${hostPort}`
      : `published ports ${hostPort === 0 ? `of ${ports(guestPort)}` : ports(hostPort)}`;
    return `${published} will refuse connections from this machine: ${why}; ` +
      `--rule allow:inbound@loopback:${protocol}:${ports(guestPort)} would allow them`;
  });
}

function follows(first: Publication, count: number, next: Publication): boolean {
  const host = first.hostPort === 0 ? 0 : first.hostPort + count;
  return next.bind === first.bind && next.protocol === first.protocol &&
    next.hostPort === host && next.guestPort === first.guestPort + count;
}

/** Why nobody of this machine gets through; null when somebody does. */
function refusal(compiled: CompiledPolicy, { guestPort, protocol }: Publication): string | null {
  const { action, rule } = evaluate(
    compiled,
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
  if (action === "allow") return null;
  const by = rule === undefined ? undefined : compiled.policy.rules[rule];
  return by === undefined
    ? "no rule allows inbound flows"
    : `rule ${rule}, ${formatRule(by)}, denies them`;
}
