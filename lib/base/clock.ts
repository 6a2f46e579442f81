/**
 * Time as a value that is handed in, so that lifetimes and deadlines are tested without waiting.
 *
 * @module
 */

export interface Clock {
  /** Milliseconds since an arbitrary moment; never goes back. */
  now(): number;
  /** Runs `task` once, `ms` from now, unless the returned function was called before. */
  after(ms: number, task: () => void): () => void;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  after: (ms, task) => {
    const timer = setTimeout(task, ms);
    return () => clearTimeout(timer);
  },
};
