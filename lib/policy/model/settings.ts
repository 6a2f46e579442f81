/**
 * What a policy file says beside its rules.
 *
 * @module
 */

import { formatEndpoint, parseAddress } from "../../base/address.ts";
import type { Expectation } from "../file/expectation.ts";
import type { AddedHost } from "../text/added_host.ts";
import { PolicyFault, quote } from "../text/fault.ts";
import type { Policy } from "./policy.ts";
import { NO_SECRETS, type SecretSettings } from "./secret.ts";
import { DEFAULT_TLS, type TlsSettings } from "./tls_settings.ts";

/** How names are resolved for the guest. */
export interface DnsSettings {
  /** Names that never resolve; canonical. */
  readonly block: readonly string[];
  /** Suffixes that never resolve, apex included; canonical, without the leading dot. */
  readonly blockSuffix: readonly string[];
  /** Files with more of either, relative to the policy file unless absolute. */
  readonly blockLists: readonly BlockList[];
  /** Refuses the names of well-known DNS-over-HTTPS resolvers, so that clients ask sbx. */
  readonly blockDoh: boolean;
  /** Withholds answers that point a public name at a private address. */
  readonly rebindProtection: boolean;
  /** Names that the user gives an address; no resolver is asked for them. Absent: none. */
  readonly hosts?: readonly AddedHost[];
  /** Upstream resolvers as `address:port`, tried in order; empty: those of the host. */
  readonly servers: readonly string[];
  /** How long one question may take, in milliseconds. */
  readonly timeoutMs?: number;
}

/** A file with names that do not exist for the guest. */
export interface BlockList {
  /** As it was given; relative to the working directory. */
  readonly path: string;
  /** What a line without a leading dot is. */
  readonly as: "name" | "suffix";
  /** Where a policy file names it: `build.yaml:4:9`. Absent: no file does. */
  readonly place?: string;
}

/** Bounds on what one guest may open; absent: the built-in ones. */
export interface Limits {
  /** Flows alive at the same time, TCP and UDP. */
  readonly maxConnections?: number;
  /** New flows a second. */
  readonly newFlowsPerSecond?: number;
}

/** A policy file as a value. */
export interface PolicyFile {
  /** The rules, those of the preset that it extends behind its own. */
  readonly policy: Policy;
  /** How names are resolved. */
  readonly dns: DnsSettings;
  /** What is opened of TLS. */
  readonly tls: TlsSettings;
  /** How much the guest may open. */
  readonly limits: Limits;
  /** The secrets that are declared in it. */
  readonly secrets: SecretSettings;
  /** For `sbx policy test`. */
  readonly expect: readonly Expectation[];
}

export const DEFAULT_DNS: DnsSettings = {
  block: [],
  blockSuffix: [],
  blockLists: [],
  blockDoh: false,
  rebindProtection: true,
  servers: [],
};

/** A policy with no further settings, as a preset or a program gives it. */
export function plainPolicyFile(policy: Policy): PolicyFile {
  return {
    policy,
    dns: DEFAULT_DNS,
    tls: DEFAULT_TLS,
    limits: {},
    secrets: NO_SECRETS,
    expect: [],
  };
}

/** Reads `ADDR`, `ADDR:PORT` or `[IPV6]:PORT` to `address:port`; the port is 53 by default. */
export function readServer(text: string): string {
  const whole = parseAddress(text);
  if (whole !== null) return formatEndpoint(whole.text, 53);
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::([0-9]{1,5}))?$/.exec(text);
  const address = parseAddress(match?.[1] ?? match?.[2] ?? "");
  const port = Number(match?.[3] ?? 53);
  if (address === null || port < 1 || port > 65_535) {
    throw new PolicyFault(
      `${quote(text)} is no address of a resolver`,
      "write it like 9.9.9.9, 10.0.0.1:5353 or [2620:fe::fe]:53",
    );
  }
  return formatEndpoint(address.text, port);
}
