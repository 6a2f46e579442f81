/**
 * Tokens that servers handed out while a sandbox runs: its guest has placeholders of them as of any
 * secret, and never the tokens.
 *
 * @module
 */

import { DEFAULT_PLACES, isHostOf, type Place, type Secret } from "../policy/model/secret.ts";
import type { HeldSecret } from "./grant.ts";
import { type Draw, makePlaceholders, type Placeholder } from "./placeholder.ts";
import type { Tripwire } from "./tripwire.ts";
import { SecretValue } from "./value.ts";
import type { KeptSecret, TokenKind, TokenMint, Vault } from "./vault.ts";

/** Of each kind of each secret. Clients hold one or two; who asks for more gets placeholders that die. */
const MOST_TOKENS = 16;

/** Bytes of them all; each is looked for in answers, in a dozen forms. The latest is kept in any case. */
const MOST_BYTES = 16 << 10;

/** The vault itself where no secret of it has a token endpoint. */
export function withTokens(vault: Vault, draw: Draw): Vault {
  const hands = vault.kept.some(({ secret: { tokens } }) => tokens !== undefined);
  return hands ? new MintingVault(vault, draw) : vault;
}

class MintingVault implements Vault {
  readonly tokens: TokenMint = { mint: (secret, kind, token) => this.#mint(secret, kind, token) };
  readonly tripwire: Tripwire;
  readonly onViolation: Vault["onViolation"];
  readonly #vault: Vault;
  readonly #draw: Draw;
  /** By the name of their kind, the latest last. */
  readonly #minted = new Map<string, HeldSecret[]>();
  #kept: readonly KeptSecret[];
  #permitted: ReadonlySet<string> | null = null;
  /** What was answered since the last token came, by what the vault answered. */
  #joined = new WeakMap<readonly HeldSecret[], Map<string, readonly HeldSecret[]>>();

  constructor(vault: Vault, draw: Draw) {
    this.#vault = vault;
    this.#draw = draw;
    this.#kept = vault.kept;
    this.tripwire = vault.tripwire;
    this.onViolation = vault.onViolation;
  }

  get kept(): readonly KeptSecret[] {
    return this.#kept;
  }

  heldFor(host: string): readonly HeldSecret[] | Promise<readonly HeldSecret[]> {
    const held = this.#vault.heldFor(host);
    return held instanceof Promise
      ? held.then((late) => this.#join(late, this.#granted(host)))
      : this.#join(held, this.#granted(host));
  }

  known(host: string): readonly HeldSecret[] {
    return this.#join(this.#vault.known(host), this.#mintedFor(host));
  }

  permit(names: ReadonlySet<string>): void {
    this.#vault.permit(names);
    this.#permitted = names;
  }

  #mintedFor(host: string): readonly HeldSecret[] {
    return [...this.#minted.values()].flat().filter(({ secret }) => isHostOf(secret, host));
  }

  /** Those whose secret has not been taken back; the names of variables have no dots. */
  #granted(host: string): readonly HeldSecret[] {
    return this.#mintedFor(host).filter(({ secret: { name } }) => {
      const [issuer = ""] = name.split(".", 1);
      return this.#permitted?.has(issuer) ?? true;
    });
  }

  #mint(secret: Secret, kind: TokenKind, token: string): string {
    const minted = tokenSecret(secret, kind);
    const all = this.#minted.get(minted.name) ?? [];
    const had = all.find(({ value }) => value.reveal() === token);
    const one = had ?? {
      secret: minted,
      placeholder: placeholderFor(minted.name, token, this.#draw),
      value: SecretValue.of(minted.name, token),
    };
    this.#minted.set(minted.name, latestOf([...all.filter((other) => other !== had), one]));
    if (had === undefined) this.#changed();
    return one.placeholder.text;
  }

  #changed(): void {
    this.#kept = [...this.#vault.kept, ...[...this.#minted.values()].flat()];
    this.#joined = new WeakMap();
    this.tripwire.set(
      this.#kept.map(({ secret: { name }, placeholder }) => ({ name, placeholder })),
    );
  }

  #join(held: readonly HeldSecret[], own: readonly HeldSecret[]): readonly HeldSecret[] {
    if (own.length === 0) return held;
    // Guests can make up names below a suffix without end; the tokens of all of them are few.
    const key = own.map(({ placeholder: { core } }) => core).join(" ");
    const joined = this.#joined.get(held) ?? new Map<string, readonly HeldSecret[]>();
    const all = joined.get(key) ?? [...held, ...own];
    this.#joined.set(held, joined.set(key, all));
    return all;
  }
}

function latestOf(all: readonly HeldSecret[]): HeldSecret[] {
  const latest: HeldSecret[] = [];
  let bytes = 0;
  for (const one of all.toReversed()) {
    bytes += one.value.reveal().length;
    if (latest.length === MOST_TOKENS || latest.length > 0 && bytes > MOST_BYTES) break;
    latest.unshift(one);
  }
  return latest;
}

/** A token is bound to the hosts of its secret. What only its endpoint takes goes there alone, in bodies. */
function tokenSecret(secret: Secret, kind: TokenKind): Secret {
  const { source, hosts: all, headers, exclusive } = secret;
  const common = {
    name: `${secret.name}.${kind}`,
    source,
    hosts: all,
    headers: headers.kind === "any" ? headers : { kind: "credentials" } as const,
    exclusive,
    mask: true,
    format: null,
  };
  if (kind !== "refresh_token" && kind !== "device_code") {
    const places = secret.places.union(DEFAULT_PLACES);
    return { ...common, places, methods: [], pathPrefix: null };
  }
  const { hosts = all, paths: [path = null, ...more] = [] } = secret.tokens ?? {};
  const places: ReadonlySet<Place> = new Set(["body"]);
  return {
    ...common,
    hosts,
    places,
    methods: ["POST"],
    pathPrefix: more.length === 0 ? path : null,
  };
}

/** Head, claims and signature (RFC 7515 7.1): base64 of JSON, and 16 bytes or more. */
const SIGNED = /^(eyJ[A-Za-z0-9_-]+\.eyJ[A-Za-z0-9_-]+\.)[A-Za-z0-9_-]{22,}$/;

/**
 * Clients read what stands in a signed token: when it ends, whose it is. They still can; without its
 * signature it is worth nothing.
 */
function placeholderFor(name: string, token: string, draw: Draw): Placeholder {
  const [made] = makePlaceholders([{ name, format: null }], draw);
  if (made === undefined) throw new TypeError("Cannot make a placeholder");
  const [, claims = ""] = SIGNED.exec(token) ?? [];
  return { text: claims + made.text, core: made.core };
}
