/**
 * A map that forgets what was used least lately, bounded by the weight of all its values.
 *
 * @module
 */

export class LruMap<K, V> {
  /** In the order of use: a Map keeps insertion order, and using an entry re-inserts it. */
  readonly #entries = new Map<K, { readonly value: V; readonly weight: number }>();
  readonly #capacity: number;
  readonly #weigh: (value: V) => number;
  #weight = 0;

  /** Without `weigh` every value weighs 1 and the capacity is a count. */
  constructor(capacity: number, weigh: (value: V) => number = () => 1) {
    this.#capacity = capacity;
    this.#weigh = weigh;
  }

  get size(): number {
    return this.#entries.size;
  }

  get weight(): number {
    return this.#weight;
  }

  /** Counts as use. */
  get(key: K): V | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    return entry.value;
  }

  /** A value heavier than the whole capacity is not kept. */
  set(key: K, value: V): void {
    this.delete(key);
    const weight = this.#weigh(value);
    if (weight > this.#capacity) return;
    this.#entries.set(key, { value, weight });
    this.#weight += weight;
    if (this.#weight > this.#capacity) this.#evict();
  }

  /**
   * Makes a little more room than it takes: a Map walks over the places of deleted entries at its
   * front, so that taking the oldest one away at every call would cost more the longer the map is.
   */
  #evict(): void {
    const target = this.#capacity - Math.floor(this.#capacity / 16);
    for (const oldest of this.#entries.keys()) {
      if (this.#weight <= target) break;
      this.delete(oldest);
    }
  }

  delete(key: K): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    this.#weight -= entry.weight;
  }

  clear(): void {
    this.#entries.clear();
    this.#weight = 0;
  }
}
