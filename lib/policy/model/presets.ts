/**
 * Policies by name.
 *
 * @module
 */

import type { Group, Policy, Rule } from "./policy.ts";

/** The name of a preset. */
export type PresetName = "allow-all" | "none" | "public-only";

export const PRESET_NAMES: readonly PresetName[] = ["allow-all", "none", "public-only"];

/** No network device at all. */
export function none(): Policy {
  return {
    network: false,
    rules: [],
    defaults: { outbound: "deny", inbound: "deny" },
    denyWith: "drop",
  };
}

/** Everything, the host and its local network included. */
export function allowAll(): Policy {
  return {
    network: true,
    rules: [],
    defaults: { outbound: "allow", inbound: "allow" },
    denyWith: "drop",
  };
}

/** The internet, but neither the host, nor the networks that it is on, nor metadata services. */
export function publicOnly(): Policy {
  return {
    ...allowAll(),
    rules: [
      rule("deny", "loopback"),
      rule("deny", "private"),
      rule("deny", "link-local"),
      rule("deny", "metadata"),
      // All of the host but its port 53, which is the guest's resolver: a rule that covered it would
      // decide about every name.
      {
        ...rule("deny", "host"),
        protocols: ["tcp", "udp"],
        ports: [{ from: 1, to: 52 }, { from: 54, to: 65_535 }],
      },
      { ...rule("deny", "host"), protocols: ["icmpv4", "icmpv6"] },
      // Last, so that what has a name of its own is refused by it.
      rule("deny", "local-network"),
    ],
  };
}

/** The preset of this name, or null. */
export function presetNamed(name: string): Policy | null {
  switch (name) {
    case "allow-all":
      return allowAll();
    case "none":
      return none();
    case "public-only":
      return publicOnly();
    default:
      return null;
  }
}

function rule(action: Rule["action"], group: Group): Rule {
  return {
    action,
    direction: "outbound",
    destination: { kind: "group", group },
    protocols: [],
    ports: [],
  };
}
