/**
 * Which names were answered with which addresses: what domain rules know flows by.
 *
 * Only answers of resolvers that the host chose get here, and only for the name that was asked for.
 * A pin lives for the longer of its TTL and ten minutes, and beyond that while a flow uses its
 * address: shorter floors break clients that cache longer than they were told (JVMs, pinned
 * `--resolve` lists), and a longer life only re-opens an address that the name really had. Answers
 * add to a name's addresses and never replace them, because rotating services hand out a part of
 * theirs at a time.
 *
 * A guest decides what it asks for, so the table is bounded in every direction; what was learnt or
 * used least lately goes first, and what a flow uses goes last.
 *
 * @module
 */
import { systemClock } from "../base/clock.ts";
import type { Pin, PinTable } from "../policy/model/policy.ts";

export interface PinLimits {
  readonly names: number;
  /** Per name and address family. */
  readonly addresses: number;
  /** Over all names; what the two above would allow together is too much memory. */
  readonly pins: number;
  /** Characters of aliases, over all names: whoever owns a name decides how many it has and how long. */
  readonly aliasText: number;
}

const PIN_LIMITS: PinLimits = { names: 4096, addresses: 64, pins: 32_768, aliasText: 4 << 20 };

/** Of one name; those of one answer are fewer. */
const MAX_ALIASES = 64;
const NO_ALIASES: ReadonlySet<string> = new Set();

const FLOOR_MS = 10 * 60_000;
/** A TTL is the wish of the name's owner; a day is more than any sandbox needs. */
const CEILING_MS = 24 * 3_600_000;

export class Pins implements PinTable {
  readonly #now: () => number;
  readonly #limits: PinLimits;
  /** Names by last use, each with its addresses by last use and when they expire. */
  readonly #names = new Map<string, Map<string, number>>();
  /** The same the other way round, names in the order they were learnt. */
  readonly #addresses = new Map<string, Set<string>>();
  /** What names were aliases of, on the way to their addresses; the latest few. */
  readonly #aliases = new Map<string, Set<string>>();
  #aliasText = 0;
  /** How many flows use an address. */
  readonly #held = new Map<string, number>();
  #count = 0;
  #evicted = 0;

  /** `now` in milliseconds. */
  constructor(now: () => number = systemClock.now, limits: PinLimits = PIN_LIMITS) {
    this.#now = now;
    this.#limits = limits;
  }

  get size(): { readonly names: number; readonly pins: number; readonly evicted: number } {
    return { names: this.#names.size, pins: this.#count, evicted: this.#evicted };
  }

  /** Records that a name was answered with an address; both canonical. */
  learn(name: string, address: string, ttlSeconds: number): void {
    const expires = this.#now() + Math.min(CEILING_MS, Math.max(FLOOR_MS, ttlSeconds * 1000));
    const addresses = this.#names.get(name) ?? new Map<string, number>();
    const before = addresses.get(address);
    this.#names.delete(name);
    this.#names.set(name, addresses);
    addresses.delete(address);
    addresses.set(address, Math.max(before ?? 0, expires));
    if (before !== undefined) return;
    this.#count++;
    const names = this.#addresses.get(address) ?? new Set<string>();
    this.#addresses.set(address, names.add(name));
    this.#shrink(name, addresses, address);
  }

  /** Records that a pinned name is an alias of others; canonical where they can be. */
  alias(name: string, targets: readonly string[]): void {
    if (targets.length === 0 || !this.#names.has(name)) return;
    const known = this.#aliases.get(name) ?? new Set<string>();
    this.#aliases.set(name, known);
    for (const target of targets) {
      this.#dropAlias(known, target);
      known.add(target);
      this.#aliasText += target.length;
    }
    for (const oldest of known) {
      if (known.size <= MAX_ALIASES) break;
      this.#dropAlias(known, oldest);
    }
    this.#makeRoom();
  }

  aliasesOf(name: string): ReadonlySet<string> {
    return this.#aliases.get(name) ?? NO_ALIASES;
  }

  /** All that hold, name by name. */
  all(): readonly Pin[] {
    return [...this.#names].flatMap(([name, addresses]) =>
      [...addresses.keys()].filter((address) => this.has(name, address))
        .map((address) => ({ name, address }))
    );
  }

  /** Takes pins back, whatever uses them. */
  forget(pins: readonly Pin[]): void {
    for (const { name, address } of pins) this.#forget(name, address);
  }

  *namesOf(address: string): Iterable<string> {
    for (const name of this.#addresses.get(address) ?? []) if (this.has(name, address)) yield name;
  }

  has(name: string, address: string): boolean {
    const expires = this.#names.get(name)?.get(address);
    if (expires === undefined) return false;
    if (expires > this.#now() || this.#held.has(address)) return true;
    this.#forget(name, address);
    return false;
  }

  /** A flow to the address began; each call wants one {@link Pins.release}. */
  hold(address: string): void {
    this.#held.set(address, (this.#held.get(address) ?? 0) + 1);
  }

  /** A flow to the address ended. */
  release(address: string): void {
    const count = (this.#held.get(address) ?? 0) - 1;
    if (count > 0) this.#held.set(address, count);
    else this.#held.delete(address);
  }

  /** Makes room after `address` was added to `name`. */
  #shrink(name: string, addresses: ReadonlyMap<string, number>, address: string): void {
    if (addresses.size > this.#limits.addresses) {
      const isKin = (other: string) => other.includes(":") === address.includes(":");
      const kin = [...addresses.keys()].filter(isKin);
      if (kin.length > this.#limits.addresses) this.#evict(name, this.#leastUsed(kin));
    }
    this.#makeRoom();
  }

  #makeRoom(): void {
    const { names, pins, aliasText } = this.#limits;
    while (this.#names.size > names || this.#count > pins || this.#aliasText > aliasText) {
      const victim = this.#leastUsedName();
      for (const other of [...this.#names.get(victim)?.keys() ?? []]) this.#evict(victim, other);
    }
  }

  #dropAlias(known: Set<string>, target: string): void {
    if (known.delete(target)) this.#aliasText -= target.length;
  }

  #leastUsed(addresses: readonly string[]): string {
    return addresses.find((address) => !this.#held.has(address)) ?? addresses[0] ?? "";
  }

  /** Looks at the oldest few only: a guest that holds all of them must not make this slow. */
  #leastUsedName(): string {
    let oldest: string | undefined;
    let looked = 0;
    for (const [name, addresses] of this.#names) {
      oldest ??= name;
      if (!this.#isUsed(addresses)) return name;
      if (++looked === 64) break;
    }
    return oldest ?? "";
  }

  #isUsed(addresses: ReadonlyMap<string, number>): boolean {
    if (this.#held.size === 0) return false;
    for (const address of addresses.keys()) if (this.#held.has(address)) return true;
    return false;
  }

  #evict(name: string, address: string): void {
    this.#forget(name, address);
    this.#evicted++;
  }

  #forget(name: string, address: string): void {
    const addresses = this.#names.get(name);
    if (addresses?.delete(address) === true) this.#count--;
    if (addresses?.size === 0) {
      this.#names.delete(name);
      const aliases = this.#aliases.get(name) ?? new Set();
      for (const target of [...aliases]) this.#dropAlias(aliases, target);
      this.#aliases.delete(name);
    }
    const names = this.#addresses.get(address);
    names?.delete(name);
    if (names?.size === 0) this.#addresses.delete(address);
  }
}
