/**
 * Names whose addresses are known here. No resolver hears of them, because on the machine that wrote
 * them down none would: the guest's own name, those that the user added for this sandbox, and those
 * of this machine's hosts file. The first of these that has a name has all of it.
 *
 * @module
 */
import { type Address, addressOf, parseAddress } from "../base/address.ts";
import { type AddedHost, HOST_GATEWAY } from "../policy/text/added_host.ts";
import type { HostEntry } from "./hosts_file.ts";
import { Class, Type } from "./wire/codes.ts";
import type { Question, Resource } from "./wire/message.ts";

/** Who says so, which decides what has to be judged. */
export type Origin =
  | "guest" // itself; leads nowhere else
  | "user" // for this sandbox, name and address
  | "hosts"; // for this machine, as a resolver of this machine would

export interface KnownName {
  readonly origin: Origin;
  readonly addresses: readonly Address[];
}

export interface KnownNameSources {
  /** The guest's host name. */
  readonly guest?: string;
  readonly user?: readonly AddedHost[];
  /** What `host-gateway` means in these. */
  readonly gateway?: string;
  readonly hosts?: readonly HostEntry[];
  /** Domains that the guest appends to names without a dot before it asks for these as they are. */
  readonly search?: readonly string[];
}

/** What Debian's hosts files say of a machine's own name, and its like. */
const ITSELF: readonly Address[] = [
  addressOf(Uint8Array.of(127, 0, 1, 1)),
  addressOf(Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1)),
];

/** Hosts files do not change while a sandbox lives; a minute spares most repetitions. */
const TTL_S = 60;

export class KnownNames {
  readonly #names = new Map<string, { origin: Origin; addresses: Map<string, Address> }>();
  readonly #search: ReadonlySet<string>;

  constructor({ guest, user = [], gateway, hosts = [], search = [] }: KnownNameSources = {}) {
    this.#search = new Set(search);
    if (guest !== undefined) {
      for (const address of ITSELF) this.#add("guest", guest.toLowerCase(), address);
    }
    for (const { name, address } of user) {
      this.#add("user", name, parseAddress(address === HOST_GATEWAY ? gateway ?? "" : address));
    }
    for (const { name, address } of hosts) this.#add("hosts", name, address);
  }

  /** What is known of a canonical name. */
  find(name: string): KnownName | null {
    const known = this.#names.get(name);
    return known === undefined
      ? null
      : { origin: known.origin, addresses: [...known.addresses.values()] };
  }

  /**
   * Whether the name is what a guest makes of its own name, or of one that was added, before it asks
   * for that. There is no such name, so that it goes on to ask, and no resolver hears of it.
   */
  isExpanded(name: string): boolean {
    const dot = name.indexOf(".");
    if (dot < 0 || !this.#search.has(name.slice(dot + 1))) return false;
    const known = this.find(name.slice(0, dot));
    return known !== null && known.origin !== "hosts";
  }

  #add(origin: Origin, name: string, address: Address | null): void {
    const known = this.#names.get(name) ?? { origin, addresses: new Map<string, Address>() };
    if (known.origin !== origin) return;
    if (address !== null) known.addresses.set(address.text, address);
    this.#names.set(name, known);
  }
}

/** What there is to say to a question about a known name: its addresses, and that there is no more. */
export function knownRecords({ name, type }: Question, { addresses }: KnownName): Resource[] {
  return addresses
    .map(({ family, bytes }) => ({ type: family === 4 ? Type.A : Type.AAAA, data: bytes }))
    .filter((record) => type === record.type || type === Type.ANY)
    .map((record) => ({ ...record, name, class: Class.IN, ttl: TTL_S }));
}
