/**
 * The parts of a binary: netstack and Lima's driver for its host, kernel and boot medium of its guests, what
 * those with a disk and those that somebody logs in to need, and the notices of all of them.
 *
 * @module
 */
import { mkdirSync } from "node:fs";
import process from "node:process";
import { step } from "./step.ts";
import { goEnvironment, guestOf, nameOf, partsOf, type Target } from "./target.ts";

/** What a binary carries, and from which platform's parts. */
export const PARTS: readonly { readonly name: string; readonly of: (target: Target) => Target }[] =
  [
    { name: "netstack", of: (target) => target },
    { name: "lima-driver", of: (target) => target },
    { name: "sshd", of: guestOf },
    { name: "vmlinux", of: guestOf },
    { name: "initramfs", of: guestOf },
    { name: "disk", of: guestOf },
    { name: "disk_modules", of: guestOf },
    { name: "notices", of: (target) => target },
  ];

/** Builds all of them; `version` is what netstack says. */
export async function buildParts(root: string, target: Target, version: string): Promise<void> {
  const guest = guestOf(target);
  for (const each of [target, guest]) mkdirSync(`${root}/${partsOf(each)}`, { recursive: true });
  await goBuild(root, "netstack", target, { linked: `-X 'main.version=${version}'` });
  // A page of traces that nobody opens: its templates name methods at run time, so the linker has to keep all.
  await goBuild(root, "lima-driver", target, { tags: "grpcnotrace" });
  for (const program of ["agent", "sshd"]) await goBuild(root, program, guest);
  await step("boot medium", `${root}/scripts/initramfs`, [guest.machine], { cwd: root });
  await step("disk", `${root}/scripts/disk`, [guest.machine], { cwd: root });
  const argv = ["scripts/licences/notices.ts", nameOf(target), `${partsOf(target)}/notices`];
  await step("notices", process.execPath, argv, { cwd: root });
}

/** A static, stripped, reproducible program of one of our Go modules. */
async function goBuild(
  root: string,
  module: string,
  target: Target,
  { linked = "", tags = "" } = {},
): Promise<void> {
  const out = `${root}/${partsOf(target)}/${module}`;
  const flags = [
    "-trimpath",
    "-buildvcs=false",
    `-tags=${tags}`,
    `-ldflags=-s -w -buildid= ${linked}`,
  ];
  const env = goEnvironment(target);
  await step(module, "go", ["build", ...flags, "-o", out, "."], {
    cwd: `${root}/vendor/${module}`,
    env,
  });
}
