/**
 * The boundary: who may have the value of a secret. Everything else in this folder either asks here
 * or only ever handles placeholders.
 *
 * A real value leaves over verified TLS, to an address that sbx resolved the server's name to, where
 * the name of the session and the authority of the request are the same one of the secret's hosts,
 * for requests that the secret is meant for. Whether a placeholder was noticed elsewhere
 * (`tripwire.ts`) has no say in it.
 *
 * @module
 */

import type { Placeholder } from "./placeholder.ts";
import { isHostOf, type Secret } from "../policy/model/secret.ts";
import { isPlainPath } from "../policy/model/secret_scope.ts";
import type { SecretValue } from "./value.ts";

/** A secret of a running sandbox. */
export interface HeldSecret {
  readonly secret: Secret;
  readonly placeholder: Placeholder;
  readonly value: SecretValue;
}

/** One request, as the relay that is about to send it on knows it. */
export interface RequestFacts {
  /** The server proved its name in TLS, with a certificate that was verified. */
  readonly verified: boolean;
  /** The address that was dialled is one that sbx resolved this name to. */
  readonly pinned: boolean;
  /** The name of the TLS session to the server, canonical; null: none. */
  readonly sni: string | null;
  /** The host that the request is for, canonical, without a port. */
  readonly authority: string;
  /** Exactly as it is sent. */
  readonly method: string;
  /** Exactly as it is sent, without the query. */
  readonly path: string;
  /** For what else some server takes it. */
  readonly overrides: () => Overrides;
}

/** Methods, in capitals, and paths that a request states beside its own. */
export interface Overrides {
  readonly methods: readonly string[];
  readonly paths: readonly string[];
}

/** Why a value stays; in the order in which they are asked. */
export type Denial =
  | "unverified" // anybody may be at the other end
  | "unpinned" // the guest chose the address
  | "no-name" // the session names no server
  | "host-mismatch" // the request is for another host than the session
  | "foreign-host" // the host is none of the secret's
  | "method" // the secret is not for this method
  | "path"; // nor for this path

/**
 * The right to write one value into one request. Nothing but {@link grants} makes one: the class is
 * not exported, and its private member keeps look-alikes from passing for it.
 */
class ValueGrant {
  readonly #value: SecretValue;
  readonly secret: Secret;
  readonly placeholder: Placeholder;

  constructor({ secret, placeholder, value }: HeldSecret) {
    this.secret = secret;
    this.placeholder = placeholder;
    this.#value = value;
  }

  reveal(): string {
    return this.#value.reveal();
  }

  /** Whether it is for the same value in the same place of another request. */
  isSame(other: ValueGrant): boolean {
    return this.secret === other.secret && this.placeholder === other.placeholder &&
      this.#value === other.#value;
  }

  /** As {@link SecretValue.revealBytes}. */
  revealBytes(): string {
    return this.#value.revealBytes();
  }
}

export type Grant = ValueGrant;

export type GrantVerdict =
  | { readonly granted: true; readonly grant: Grant }
  | { readonly granted: false; readonly why: Denial };

/** Total: whatever is not known to be so is not so. */
export function grants(held: HeldSecret, request: RequestFacts): GrantVerdict {
  const why = denialOf(held.secret, request);
  return why === null ? { granted: true, grant: new ValueGrant(held) } : { granted: false, why };
}

/** The rights to one request of all secrets of a sandbox. */
export function grantsOf(all: readonly HeldSecret[], request: RequestFacts): readonly Grant[] {
  const granted: Grant[] = [];
  for (const held of all) {
    const verdict = grants(held, request);
    if (verdict.granted) granted.push(verdict.grant);
  }
  return granted;
}

function denialOf(secret: Secret, facts: RequestFacts): Denial | null {
  const { verified, pinned, sni, authority, method, path } = facts;
  if (verified !== true) return "unverified";
  if (pinned !== true) return "unpinned";
  if (typeof sni !== "string" || sni === "") return "no-name";
  if (sni !== authority) return "host-mismatch";
  if (!isHostOf(secret, sni)) return "foreign-host";
  const { methods, pathPrefix } = secret;
  const isMeant = (one: unknown) => methods.some((each) => each === one);
  if (methods.length > 0 && ![method, ...facts.overrides().methods].every(isMeant)) return "method";
  if (pathPrefix === null) return null;
  return [path, ...facts.overrides().paths].every((one) => isBelow(one, pathPrefix))
    ? null
    : "path";
}

/**
 * Whether a path is the prefix or lies below it, by whole segments, whichever way a server reads it:
 * a path that could lead elsewhere, once it is decoded or its steps are taken, does not lie there.
 */
function isBelow(path: unknown, prefix: string): boolean {
  if (typeof path !== "string" || !path.startsWith(prefix)) return false;
  const rest = path.slice(prefix.length);
  if (rest !== "" && !prefix.endsWith("/") && !rest.startsWith("/")) return false;
  return isPlainPath(path);
}
