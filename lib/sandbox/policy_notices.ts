/**
 * What a person should know about a policy before the guest runs under it.
 *
 * @module
 */
import { warnings } from "../policy/warnings.ts";
import type { NetworkOptions } from "./options.ts";

export function policyNotices({ policy, publish }: NetworkOptions): string[] {
  const lines = warnings(policy).map(({ message }) => `policy: ${message}`);
  const opensInbound = policy.defaults.inbound === "allow" ||
    policy.rules.some(({ action, direction }) => action === "allow" && direction !== "outbound");
  if (publish.length > 0 && !opensInbound) {
    lines.push(
      "published ports will refuse everybody: the policy denies inbound flows; " +
        "--rule allow:inbound@any would allow them",
    );
  }
  return lines;
}
