/**
 * A guest of Lima's in a QEMU of sbx's, which Lima's driver `sbx` has started.
 *
 * @module
 */
import { SbxError } from "../base/errors.ts";
import { limaArgv } from "../guest/lima/args.ts";
import type { LimaInstance } from "../guest/lima/instance.ts";
import { SSH_PORT } from "../guest/lima/link.ts";
import { proofOf } from "../guest/lima/proof.ts";
import { limaFacts, socketInode } from "../host/lima/facts.ts";
import { findLimaBoot, findLimaMachine, spawnLima } from "../host/lima/machine.ts";
import type { LimaRoute, LimaRouteSpec } from "./lima_route.ts";

/** @throws SbxError LIMA_INSTANCE, REQUIREMENT_MISSING, FILE_UNREADABLE */
export async function openQemuRoute(
  { instance, mac, notice }: LimaRouteSpec,
): Promise<LimaRoute> {
  const wayIn = { hostPort: sshPort(instance), guestPort: SSH_PORT };
  const machine = await findLimaMachine(notice);
  const boot = await findLimaBoot(instance, machine);
  const argv = limaArgv(instance, machine, boot, mac);
  return {
    accelerator: machine.accelerator,
    isLimas: false,
    cable: { wayIn },
    listen: () => Promise.resolve(),
    plug({ netstack: { framesFd } }, launcher) {
      const plugged = { cable: socketInode(framesFd), mac };
      const machine = spawnLima({ launcher, argv, framesFd });
      return Promise.resolve({
        machine,
        look: async (inside) =>
          proofOf({
            ...await limaFacts(machine, plugged),
            ...(inside === undefined ? {} : { inside }),
          }),
      });
    },
  };
}

/** @throws SbxError LIMA_INSTANCE */
function sshPort({ sshLocalPort }: LimaInstance): number {
  if (typeof sshLocalPort === "number" && sshLocalPort > 0) return sshLocalPort;
  throw new SbxError("LIMA_INSTANCE", "Cannot start the guest: Lima gave it no port for SSH");
}
