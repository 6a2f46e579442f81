/**
 * A guest that one of Lima's own drivers runs, on a network of Lima's behind which sbx is in the place of Lima's
 * daemon. That the daemon is still sbx is looked at for as long as the guest is there.
 *
 * @module
 */
import { access, readdir } from "node:fs/promises";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { SbxError } from "../base/errors.ts";
import { limaLink, SSH_PORT } from "../guest/lima/link.ts";
import { type OwnDriver, proofOfOwnDriver } from "../guest/lima/own_driver.ts";
import { proofInside } from "../guest/lima/proof_part.ts";
import { limaFacts, socketsOf } from "../host/lima/facts.ts";
import { adoptGuest, disownGuest, sshPortOf } from "../host/lima/hostagent.ts";
import { openUsernetHome, type UsernetHome } from "../host/lima/usernet_home.ts";
import { usernetHomeOf } from "../host/lima/usernet_place.ts";
import { serveUsernet } from "../host/lima/usernet_server.ts";
import { type Cable, publicationFor } from "./cable.ts";
import type { Lifetime } from "./lifetime.ts";
import type { LimaRoute, LimaRouteSpec } from "./lima_route.ts";
import { usernetPart } from "./lima_usernet_part.ts";

/** A daemon in sbx's place is seen, and its guest ended, within two of these. */
const LOOK_MS = 500;

const CLOCK_TICK_MS = 20;

/** netstack listens as soon as it has its configuration. */
const LISTEN_MS = 10_000;

/** @throws SbxError LIMA_INSTANCE, FILE_UNREADABLE */
export async function openUsernetRoute(
  { instance, mac, lifetime, notice, listening }: LimaRouteSpec,
  driver: OwnDriver,
): Promise<LimaRoute> {
  const home = usernetHomeOf(instance);
  if (home === undefined) {
    throw new SbxError(
      "LIMA_INSTANCE",
      `Cannot run Lima's instance ${instance.name}: it is in no home that sbx guards`,
      { hint: `make it with 'sbx lima start ${instance.name} TEMPLATE --driver ${driver}'` },
    );
  }
  const place = await openUsernetHome(home);
  const served = Promise.withResolvers<{ close(): void } | undefined>();
  lifetime.add(usernetPart(place, served.promise));
  // Lima's pidfiles are of its file system's clock, which may be a tick behind.
  const hostagent = { dir: instance.dir, driver, since: Date.now() - CLOCK_TICK_MS };
  const adoption = { isOver: false };
  lifetime.add(adoptionPart(() => adoption.isOver || disownGuest(hostagent)));
  const plugged = Promise.withResolvers<Cable>();
  const kind = driver === "vz" ? "descriptor" : "qemu";
  const path = place.sockets[driver === "vz" ? "fd" : "qemu"];
  return {
    accelerator: driver,
    isLimas: true,
    cable: { wayIn: { guestPort: SSH_PORT }, plug: { kind, path } },
    async listen() {
      try {
        await exists(path);
        served.resolve(
          await serveUsernet({
            path: place.sockets.ep,
            guest: { mac, ip4: limaLink(mac).guest.ip4 },
            ...waysOf(plugged.promise),
            notice,
          }),
        );
      } finally {
        served.resolve(undefined);
      }
      if (!lifetime.open) return;
      place.announce();
      watch(place, lifetime);
      listening?.();
    },
    async plug(cable) {
      const machine = await lifetime.until(adoptGuest(hostagent), "start the guest");
      const wayIn = { hostPort: sshPortOf(instance.dir), guestPort: SSH_PORT };
      await cable.network.publish(publicationFor(wayIn));
      plugged.resolve(cable);
      adoption.isOver = true; // who is given it ends it
      const canLook = driver === "qemu" && process.platform === "linux";
      const seen = async () => ({
        ...await limaFacts(machine, { cable: "", mac }),
        ends: (await socketsOf(cable.netstack.pid)).map(({ inode }) => inode),
      });
      return {
        machine,
        async look(inside) {
          const proof = proofOfOwnDriver({
            driver,
            disturbed: place.disturbed(),
            files: await readdir(instance.dir),
            mac,
            ...(canLook ? { qemu: await seen() } : {}),
          });
          return inside === undefined ? proof : [...proof, proofInside(inside, mac)];
        },
      };
    },
  };
}

/** What Lima asks for before the guest is plugged in waits for that, or finds nobody. */
function waysOf(plugged: Promise<Cable>) {
  return {
    async expose(port: number) {
      const { network } = await plugged;
      if (network.published.some((open) => open.keptFor === "lima" && open.port === port)) return;
      throw new SbxError(
        "LIMA_INSTANCE",
        `Cannot lead port ${port} to the guest's SSH: it is not the instance's`,
      );
    },
    /** Lima does so when the guest leaves, with which it is closed. */
    unexpose() {},
  };
}

function adoptionPart(disown: () => void) {
  const { promise: gone, resolve } = Promise.withResolvers<undefined>();
  return {
    name: "Lima's guest",
    gone,
    stop() {
      disown();
      resolve(undefined);
    },
  };
}

function watch(place: UsernetHome, lifetime: Lifetime): void {
  const timer = setInterval(() => {
    const disturbed = place.disturbed();
    if (disturbed === undefined) return;
    void lifetime.end(
      new SbxError("GUEST_LOST", `Cannot let the guest go on: ${disturbed}`, {
        hint: "start it with 'sbx lima start' alone, and leave its home to sbx",
      }),
    );
  }, LOOK_MS);
  void lifetime.ending.then(() => clearInterval(timer));
}

/** @throws SbxError NETSTACK_LOST */
async function exists(path: string): Promise<void> {
  const end = performance.now() + LISTEN_MS;
  while (!await access(path).then(() => true, () => false)) {
    if (performance.now() > end) {
      throw new SbxError("NETSTACK_LOST", "Cannot start the guest: netstack does not listen");
    }
    await delay(20);
  }
}
