/**
 * QEMU's command line for a guest of Lima's. Pure.
 *
 * It is a machine as distributions' images expect one, with firmware and a disk, and otherwise as bare
 * as that of `sbx run`: no default devices, one network card, and nothing that listens.
 *
 * @module
 */
import { join } from "node:path";
import type { LimaInstance } from "./instance.ts";

/** Descriptors that QEMU inherits: its monitor, and its end of the virtual cable. */
export const MONITOR_FD = 3;
export const FRAMES_FD = 4;

export interface LimaMachine {
  /** Path of QEMU. */
  readonly program: string;
  readonly architecture: "x64" | "arm64";
  readonly accelerator: "kvm" | "hvf" | "tcg";
}

/** What the guest boots from. */
export type LimaBoot =
  /** The kernel that Lima fetched beside the image, and its initial file system, if any. */
  | { readonly by: "kernel"; readonly initrd: boolean; readonly commandLine: string }
  /** The image's own boot loader, found by QEMU's built-in firmware. */
  | { readonly by: "bios" }
  /** The same, by the UEFI firmware in this file. */
  | { readonly by: "uefi"; readonly firmware: string };

const MIB = 1 << 20;

/** The whole argument vector, program first. */
export function limaArgv(
  { dir, cpus, memory }: LimaInstance,
  machine: LimaMachine,
  boot: LimaBoot,
  mac: string,
): string[] {
  const { program, architecture, accelerator } = machine;
  const file = (name: string) => `file=${escaped(join(dir, name))}`;
  return [
    program,
    "-nodefaults",
    "-no-user-config",
    "-S", // nothing of the guest runs before it was looked at from outside
    "-display",
    "none",
    "-sandbox",
    "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
    "-machine",
    architecture === "arm64" ? "virt" : "q35",
    "-accel",
    accelerator === "tcg" ? "tcg,thread=multi" : accelerator,
    "-cpu",
    accelerator !== "tcg" ? "host" : architecture === "arm64" ? "max,pauth-impdef=on" : "max,-erms",
    "-smp",
    String(cpus),
    "-m",
    `${Math.max(1, Math.floor(memory / MIB))}M`,
    ...bootArgv(dir, boot),
    // Raw, whatever it begins with: a guest that writes another format's head must not gain files of
    // this machine that such a head can name.
    "-drive",
    `if=none,id=disk,format=raw,discard=unmap,${file("disk")}`,
    "-device",
    "virtio-blk-pci,drive=disk,bootindex=1",
    "-drive",
    `if=none,id=cidata,format=raw,readonly=on,${file("cidata.iso")}`,
    "-device",
    "virtio-scsi-pci,id=scsi",
    "-device",
    "scsi-cd,bus=scsi.0,drive=cidata",
    "-device",
    "virtio-rng-pci",
    "-serial",
    "stdio",
    "-chardev",
    `socket,id=monitor,fd=${MONITOR_FD}`,
    "-mon",
    "chardev=monitor,mode=control",
    "-netdev",
    `stream,id=net,server=off,addr.type=fd,addr.str=${FRAMES_FD}`,
    "-device",
    `virtio-net-pci,netdev=net,mac=${mac},romfile=`,
  ];
}

function bootArgv(dir: string, boot: LimaBoot): string[] {
  switch (boot.by) {
    case "bios":
      return [];
    case "uefi":
      return ["-drive", `if=pflash,format=raw,readonly=on,file=${escaped(boot.firmware)}`];
    case "kernel":
      return [
        "-kernel",
        join(dir, "kernel"),
        "-append",
        boot.commandLine,
        ...(boot.initrd ? ["-initrd", join(dir, "initrd")] : []),
      ];
  }
}

/** A value of one of QEMU's comma-separated options. Instances' paths hold no line break or NUL. */
function escaped(path: string): string {
  return path.replaceAll(",", ",,"); // QEMU's own escape
}
