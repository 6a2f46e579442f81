/**
 * The place of Lima's daemon, as it is left when the guest of its network is gone. `limactl stop` reads who is behind
 * the network, asks him for its leases, and has him end; it fails where he is gone by then.
 *
 * ```
 * there ── stop() ──► named no more, still answering ── a while ──► gone
 * ```
 *
 * @module
 */
import { setTimeout as delay } from "node:timers/promises";
import type { UsernetHome } from "../host/lima/usernet_home.ts";
import type { Part } from "./lifetime.ts";

/** Lima's calls between its look at who it is and its signal take some milliseconds. */
const LATE_MS = 500;

/** `served`: who answers Lima; undefined: nobody ever did. */
export function usernetPart(
  place: UsernetHome,
  served: Promise<{ close(): void } | undefined>,
  late: () => Promise<unknown> = () => delay(LATE_MS),
): Part {
  const { promise: gone, resolve } = Promise.withResolvers<undefined>();
  return {
    name: "Lima's network",
    gone,
    async stop() {
      if (place.withdraw()) await late();
      // Whoever has the place next makes sockets of these names.
      void served.then((server) => server?.close());
      place.leave();
      resolve(undefined);
    },
  };
}
