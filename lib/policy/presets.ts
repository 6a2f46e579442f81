/**
 * Policies by name.
 *
 * @module
 */

import type { Group, Policy, Rule } from "./policy.ts";

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

/** The internet, but neither the host, nor the networks around it, nor metadata services. */
export function publicOnly(): Policy {
  return {
    ...allowAll(),
    rules: [
      rule("deny", "loopback"),
      rule("deny", "private"),
      rule("deny", "link-local"),
      rule("deny", "metadata"),
      // The guest's resolver is the gateway, which is the host: without this exception the last rule
      // would also refuse every name.
      {
        ...rule("allow", "host"),
        protocols: ["udp", "tcp"],
        ports: [{ from: 53, to: 53 }],
      },
      rule("deny", "host"),
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
