/**
 * What was replaced in one answer, told once when that is over.
 *
 * @module
 */
import type { Masked } from "../secret/mask.ts";
import type { SecretUse } from "../secret/report.ts";

type Part = "header" | "body";

export class MaskTally {
  readonly #host: string;
  readonly #onUse: (use: SecretUse) => void;
  readonly #counts: Readonly<Record<Part, Map<string, number>>> = {
    header: new Map(),
    body: new Map(),
  };

  constructor(host: string, onUse: (use: SecretUse) => void) {
    this.#host = host;
    this.#onUse = onUse;
  }

  add(part: Part, masked: readonly Masked[]): void {
    const counts = this.#counts[part];
    for (const { name, count } of masked) counts.set(name, (counts.get(name) ?? 0) + count);
  }

  tell(): void {
    for (const place of ["header", "body"] as const) {
      for (const [name, count] of this.#counts[place]) {
        this.#onUse({ name, host: this.#host, what: "masked", place, count });
      }
      this.#counts[place].clear();
    }
  }
}
