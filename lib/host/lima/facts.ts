/**
 * What can be seen of a QEMU that has a guest of Lima's: in the kernel's books, and by its monitor.
 *
 * @module
 */
import { readlinkSync } from "node:fs";
import { readdir, readFile, readlink } from "node:fs/promises";
import type { LimaProcess } from "../../guest/lima/guest.ts";
import { type LimaFacts, pciClassesOf } from "../../guest/lima/proof.ts";
import type { OpenSocket } from "../../guest/lima/proof_part.ts";
import { ownSystem } from "../own_system.ts";

/** Tables of sockets that speak to networks, and which of a line's words is the inode. */
const TABLES: readonly (readonly [name: string, inode: number])[] = [
  ...["tcp", "udp", "udplite", "raw", "icmp"].flatMap((name) =>
    [[name, 9], [`${name}6`, 9]] as const
  ),
  ["packet", 8],
];

/** Of the end of the cable, while this process has it still. */
export function socketInode(fd: number): string {
  return inodeOf(readlinkSync(`/proc/self/fd/${fd}`)) ?? "";
}

/** @throws SbxError GUEST_START; and the system's error when QEMU is gone */
export async function limaFacts(
  { pid, monitor }: Pick<LimaProcess, "pid" | "monitor">,
  { cable, mac }: Pick<LimaFacts, "cable" | "mac">,
): Promise<LimaFacts> {
  // Once it answers, the process is QEMU, and no launcher any more.
  const [network, pci] = await Promise.all([
    monitor.ask(["human-monitor-command", { "command-line": "info network" }]),
    monitor.ask(["query-pci"]),
  ]);
  const [argv, sockets, networkSockets] = await Promise.all([
    readFile(`/proc/${pid}/cmdline`, "utf8"),
    socketsOf(pid),
    networkSocketsOf(pid),
  ]);
  return {
    argv: argv.split("\0").slice(0, -1),
    network: String(network),
    pciClasses: pciClassesOf(pci),
    sockets,
    networkSockets,
    cable,
    mac,
  };
}

/** @throws the system's error when the process is gone */
export async function socketsOf(pid: number): Promise<readonly OpenSocket[]> {
  const directory = `/proc/${pid}/fd`;
  const links = (await readdir(directory)).map(async (name) => ({
    fd: Number(name),
    inode: inodeOf(await readlink(`${directory}/${name}`).catch(() => "")),
  }));
  return (await Promise.all(links)).flatMap(({ fd, inode }) =>
    inode === undefined ? [] : [{ fd, inode, peer: ownSystem().sockets.peerOf(inode) }]
  );
}

function inodeOf(link: string): string | undefined {
  return /^socket:\[(\d+)\]$/.exec(link)?.[1];
}

/** A kernel without a protocol has no table of it. */
async function networkSocketsOf(pid: number): Promise<string[]> {
  const tables = TABLES.map(async ([name, at]) => {
    const text = await readFile(`/proc/${pid}/net/${name}`, "latin1").catch(() => "");
    return text.split("\n").slice(1).map((line) => line.trim().split(/ +/)[at] ?? "");
  });
  return (await Promise.all(tables)).flat();
}
