/**
 * The root that the files of this machine make for a guest.
 *
 * @module
 */
import { SbxError } from "../base/errors.ts";
import { hostRoot } from "../guest/root/host_root.ts";
import type { Root } from "../guest/root/root.ts";
import { ownSystem } from "./own_system.ts";
import type { HostSystem } from "./system.ts";

/** @throws SbxError REQUIREMENT_MISSING where this machine's programs are not Linux's */
export function ownRoot({ name }: Pick<HostSystem, "name"> = ownSystem()): Root {
  if (name === "Linux") return hostRoot();
  throw new SbxError(
    "REQUIREMENT_MISSING",
    `Cannot give a guest the programs of this machine: they are ${name}'s, and guests run Linux`,
    {
      hint: "name a directory with a Linux system in it with --root DIR: unpack what " +
        "'docker export' or debootstrap made",
    },
  );
}
