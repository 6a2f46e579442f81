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
  /** Most answers hold nothing. */
  #counts: Record<Part, Map<string, number>> | null = null;

  constructor(host: string, onUse: (use: SecretUse) => void) {
    this.#host = host;
    this.#onUse = onUse;
  }

  add(part: Part, masked: readonly Masked[]): void {
    if (masked.length === 0) return;
    this.#counts ??= { header: new Map(), body: new Map() };
    const counts = this.#counts[part];
    for (const { name, count } of masked) counts.set(name, (counts.get(name) ?? 0) + count);
  }

  tell(): void {
    const counts = this.#counts;
    this.#counts = null;
    if (counts === null) return;
    for (const place of ["header", "body"] as const) {
      for (const [name, count] of counts[place]) {
        this.#onUse({ name, host: this.#host, what: "masked", place, count });
      }
    }
  }
}
