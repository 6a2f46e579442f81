/**
 * Sets of names: exact ones, and suffixes that take in everything below them. A lookup costs one
 * hash probe per label of the name asked for, however many names are stored.
 *
 * @module
 */

/** Names and suffixes are canonical (`lib/base/name.ts`); nothing is checked here. */
export class NameSet {
  readonly #names = new Set<string>();
  readonly #suffixes = new Set<string>();

  /** Takes in this name. */
  addName(name: string): void {
    this.#names.add(name);
  }

  /** Takes in the suffix itself and every name below it. */
  addSuffix(suffix: string): void {
    this.#suffixes.add(suffix);
  }

  /** A copy with one more name. */
  with(name: string): NameSet {
    const copy = new NameSet();
    for (const each of this.#names) copy.addName(each);
    for (const each of this.#suffixes) copy.addSuffix(each);
    copy.addName(name);
    return copy;
  }

  /** The member that takes in the name, in its listed form (`x.com`, or `.x.com` for a suffix). */
  match(name: string): string | null {
    if (this.#names.has(name)) return name;
    if (this.#suffixes.size === 0) return null;
    for (const suffix of suffixesOf(name)) if (this.#suffixes.has(suffix)) return `.${suffix}`;
    return null;
  }

  /** Whether a member takes in the name. */
  has(name: string): boolean {
    return this.match(name) !== null;
  }

  /** How many names and suffixes there are. */
  get size(): number {
    return this.#names.size + this.#suffixes.size;
  }
}

/** `a.b.c`, `b.c`, `c` for `a.b.c`: every suffix that can take in the name, longest first. */
export function* suffixesOf(name: string): Generator<string, void> {
  yield name;
  for (let dot = name.indexOf("."); dot >= 0; dot = name.indexOf(".", dot + 1)) {
    yield name.slice(dot + 1);
  }
}
