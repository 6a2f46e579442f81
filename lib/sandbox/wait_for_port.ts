/**
 * Waiting for a server in the guest.
 *
 * @module
 */
import { type Clock, systemClock } from "../base/clock.ts";
import { SbxError } from "../base/errors.ts";
import { misuse } from "../base/misuse.ts";
import type { Guest } from "../guest/guest.ts";
import { requireGuestPort } from "./connection.ts";

/** How long a server is waited for. */
export interface WaitOptions {
  /** In milliseconds. Absent: as long as the sandbox lives. */
  readonly timeoutMs?: number;
  /** Aborting it ends the wait, which rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** From one question to the next, and how long that becomes where the server takes its time. */
const FIRST_PAUSE_MS = 20;
const LONGEST_PAUSE_MS = 500;

/**
 * Resolves when somebody listens on the TCP port in the guest, whatever the address, to the addresses.
 *
 * @throws SbxError PORT_TIMEOUT, or what the guest ended for
 */
export async function waitForPort(
  guest: Pick<Guest, "listening">,
  port: number,
  { timeoutMs, signal }: WaitOptions,
  clock: Clock = systemClock,
): Promise<readonly string[]> {
  requireWait(port, timeoutMs);
  signal?.throwIfAborted();
  const patience = new Patience();
  const abort = () => patience.end(signal?.reason);
  signal?.addEventListener("abort", abort, { once: true });
  const disarm = timeoutMs === undefined
    ? () => {}
    : clock.after(timeoutMs, () => patience.end(late(port, timeoutMs)));
  try {
    for (let pause = FIRST_PAUSE_MS;; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
      const found = await patience.with(guest.listening(port));
      if (found.length > 0) return found;
      const { promise: rested, resolve } = Promise.withResolvers<void>();
      const wake = clock.after(pause, resolve);
      await patience.with(rested).finally(wake);
    }
  } finally {
    disarm();
    signal?.removeEventListener("abort", abort);
  }
}

/** Ends whichever wait is under way. A promise to race each with would keep something of all of them. */
class Patience {
  #give: (reason: unknown) => void = () => {};

  end(reason: unknown): void {
    this.#give(reason);
  }

  with<T>(value: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#give = reject;
      value.then(resolve, reject);
    });
  }
}

function requireWait(port: number, timeoutMs: number | undefined): void {
  const call = `waitForPort(${port})`;
  requireGuestPort(call, port);
  if (timeoutMs !== undefined && !(timeoutMs > 0 && timeoutMs <= 2 ** 31 - 1)) {
    throw misuse(call, `${timeoutMs} ms is no time to wait`);
  }
}

function late(port: number, ms: number): SbxError {
  return new SbxError(
    "PORT_TIMEOUT",
    `Cannot wait any longer for port ${port} of the guest: nobody listened within ${ms} ms`,
  );
}
