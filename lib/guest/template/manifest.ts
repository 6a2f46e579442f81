/**
 * What is written beside a template about it. Pure.
 *
 * @module
 */

/** What a guest is large enough for, and what it has. */
export interface TemplateSize {
  /** Processors. */
  readonly cpus: number;
  /** Memory in MiB. */
  readonly memoryMiB: number;
  /** Whether it has a network device. */
  readonly network: boolean;
  /** Whether it has the root of this machine's files, in its memory. False: each gets its own, as with a disk. */
  readonly root: boolean;
}

/** What is known of a template. */
export interface Manifest {
  /** Of the guests that it is for. */
  readonly size: TemplateSize;
  /** Milliseconds since 1970. */
  readonly madeAt: number;
  /** The sbx that made it. */
  readonly build: string;
  /** Of the time stamp counter that its kernel counts by; 0 where it was not told of one. */
  readonly tscKHz: number;
  /** How many calls its agent has had. */
  readonly calls: number;
  /** Lower-case SHA-256 of the state. */
  readonly state: string;
  /** The same of what is not zero in the memory. */
  readonly memory: string;
}

const DIGEST = /^[0-9a-f]{64}$/;

/** Null for a text that is none. */
export function parseManifest(text: string): Manifest | null {
  try {
    const { size, madeAt, build, tscKHz, calls, state, memory } = JSON.parse(text);
    const { cpus, memoryMiB, network, root } = size;
    const counts = [cpus, memoryMiB, madeAt, tscKHz, calls];
    const fits = counts.every((count) => Number.isSafeInteger(count) && count >= 0) &&
      typeof network === "boolean" && typeof root === "boolean" && typeof build === "string" &&
      DIGEST.test(state) && DIGEST.test(memory);
    if (!fits) return null;
    return {
      size: { cpus, memoryMiB, network, root },
      madeAt,
      build,
      tscKHz,
      calls,
      state,
      memory,
    };
  } catch {
    return null;
  }
}
