/**
 * The proof that a guest's only way to the network is the cable to netstack: rules over what was seen of
 * a QEMU that runs. Pure.
 *
 * @module
 */
import { FRAMES_FD, MONITOR_FD } from "./args.ts";
import {
  type OpenSocket,
  part,
  proofInside,
  type Proven,
  requireProven,
  type Row,
} from "./proof_part.ts";

/** What was seen. Texts are QEMU's, and hostile. */
export interface LimaFacts {
  /** QEMU's command line, as the kernel has it. */
  readonly argv: readonly string[];
  /** The monitor's answer to `info network`. */
  readonly network: string;
  /** The classes of all PCI devices, those behind bridges among them. */
  readonly pciClasses: readonly number[];
  /** QEMU's open sockets. */
  readonly sockets: readonly OpenSocket[];
  /** The inodes of the sockets in QEMU's network namespace that speak to any network. */
  readonly networkSockets: readonly string[];
  /** The inode of the end of the cable that was given to QEMU; its other end is netstack's. */
  readonly cable: string;
  readonly mac: string;
  /** The addresses of the guest's own network devices, as the guest says. Absent: it was not asked. */
  readonly inside?: readonly string[];
}

/** Options that add cards or backends, or let a file or a later word do so. */
const FORBIDDEN = ["-nic", "-net", "-readconfig", "-set", "-netfilter"];

/** Standard streams, the monitor and the cable, in this order, are all that QEMU has of sockets. */
const LAST_SOCKET = FRAMES_FD;

/** PCI classes by their upper byte (PCI Code and ID Assignment, 1). */
const NETWORK_CONTROLLER = 0x02;
const USB_CONTROLLER = 0x0c03;

/** What the facts do not bear out; empty when the proof holds. */
export function unprovenOf(facts: LimaFacts): string[] {
  return proofOf(facts).flatMap(({ faults }) => faults);
}

/** The proof, part by part. */
export function proofOf(facts: LimaFacts): readonly Proven[] {
  const { inside } = facts;
  const { argv, network, pciClasses, sockets, networkSockets, cable, mac } = facts;
  const options = argv.map((word) => word.replace(/^--/, "-"));
  const backends = options.flatMap((word, at) => word === "-netdev" ? [argv[at + 1] ?? ""] : []);
  const cards = pciClasses.filter((kind) => kind >> 8 === NETWORK_CONTROLLER).length;
  const lines = network.split(/\r?\n/).filter((line) => /\btype=/.test(line));
  const kinds = lines.map((line) => /\btype=([\w-]+)/.exec(line)?.[1]).sort().join();
  const open = new Set(networkSockets);
  const commandLine: readonly Row[] = [
    [
      backends.length === 1 &&
      backends[0] === `stream,id=net,server=off,addr.type=fd,addr.str=${FRAMES_FD}`,
      "its command line names another network than the cable",
    ],
    [!options.some((word) => FORBIDDEN.includes(word)), "its command line adds devices"],
  ];
  const devices: readonly Row[] = [
    [kinds === "nic,stream", "QEMU does not have exactly one card on one cable"],
    [lines.some((line) => line.includes(`macaddr=${mac}`)), "its card has another address"],
    [cards === 1, `it has ${cards} network controllers`],
    [!pciClasses.includes(USB_CONTROLLER), "it has USB, to which cards can be plugged"],
  ];
  const held: readonly Row[] = [
    [
      sockets.some(({ fd, inode }) => fd === FRAMES_FD && inode === cable),
      "QEMU's cable is not the one to netstack",
    ],
    [sockets.some(({ fd }) => fd === MONITOR_FD), "QEMU lost its monitor"],
    [sockets.every(({ fd }) => fd <= LAST_SOCKET), "QEMU has sockets that nobody gave it"],
    [!sockets.some(({ inode }) => open.has(inode)), "QEMU has a socket on a network"],
  ];
  return [
    part("command line", commandLine, "one network, which is the cable"),
    part("devices", devices, `one card on one cable, ${mac}`),
    part("sockets", held, "the cable to netstack, and none on a network"),
    ...(inside === undefined ? [] : [proofInside(inside, mac)]),
  ];
}

/** @throws SbxError GUEST_START that says what does not hold */
export function requireProof(facts: LimaFacts): void {
  requireProven(proofOf(facts));
}

/** The classes in an answer to `query-pci`, bridges followed. */
export function pciClassesOf(answer: unknown, depth = 0): number[] {
  if (!Array.isArray(answer) || depth > 8) return [];
  return answer.flatMap((entry: unknown) => {
    const { devices, class_info, pci_bridge } = mapOf(entry);
    const kind = mapOf(class_info)["class"];
    return [
      ...(typeof kind === "number" ? [kind] : []),
      ...pciClassesOf(devices, depth + 1),
      ...pciClassesOf(mapOf(pci_bridge)["devices"], depth + 1),
    ];
  });
}

function mapOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? value as Record<string, unknown> : {};
}
