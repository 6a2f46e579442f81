/**
 * Lima's own drivers under sbx's network: what the yaml of their guests is to have, what it may not have, and
 * what proves of one that runs that its only way out is sbx. Pure.
 *
 * @module
 */
import type { LimaInstance } from "./instance.ts";
import { type OpenSocket, part, type Proven, type Row } from "./proof_part.ts";
import { USERNET } from "./usernet.ts";

/** Lima's drivers that can be plugged into a network of the kind user-v2. */
export const OWN_DRIVERS = ["qemu", "vz"] as const;

export type OwnDriver = typeof OWN_DRIVERS[number];

/** Undefined: it is no such driver's. */
export function ownDriverOf({ config }: Pick<LimaInstance, "config">): OwnDriver | undefined {
  return OWN_DRIVERS.find((driver) => driver === config.vmType);
}

/** What was seen of a guest that runs. Texts are Lima's and QEMU's. */
export interface OwnDriverFacts {
  readonly driver: OwnDriver;
  /** What is not as sbx left the place where Lima's daemon would be; undefined: nothing. */
  readonly disturbed: string | undefined;
  /** Files of the instance's directory. */
  readonly files: readonly string[];
  readonly mac: string;
  /** Absent: nobody can look into VZ from outside. */
  readonly qemu?: {
    readonly argv: readonly string[];
    /** The monitor's answer to `info network`. */
    readonly network: string;
    /** The classes of all PCI devices. */
    readonly pciClasses: readonly number[];
    readonly sockets: readonly OpenSocket[];
    /** The inodes of netstack's sockets, one of which is the cable's other end. */
    readonly ends: readonly string[];
    /** The inodes of the sockets in QEMU's network namespace that speak to any network. */
    readonly networkSockets: readonly string[];
  };
}

/** Options that add cards or backends, or let a file or a later word do so. */
const FORBIDDEN = ["-nic", "-net", "-readconfig", "-set", "-netfilter"];

/** What leads to this machine beside the network: its directories, its sockets, its memory. */
const SHARING = ["-virtfs", "-fsdev", "-usbdevice"];
const SHARING_DEVICE =
  /^(driver=)?(vhost-|virtio-9p|virtio-vsock|usb-net|usb-host|usb-redir|ivshmem|vfio)/;

/** PCI classes by their upper byte (PCI Code and ID Assignment, 1). */
const NETWORK_CONTROLLER = 0x02;

/** The sockets of the network that Lima has in the guest's own directory when it was given none. */
const UNGOVERNED = ["default_ep.sock", "default_fd.sock"];

/** The proof, part by part. */
export function proofOfOwnDriver(facts: OwnDriverFacts): readonly Proven[] {
  const { qemu, mac, disturbed, files } = facts;
  const place: readonly Row[] = [
    [disturbed === undefined, disturbed ?? ""],
    [
      !files.some((name) => UNGOVERNED.includes(name)),
      "Lima has a network of its own for it in the instance's directory",
    ],
  ];
  return [
    part("network", place, `Lima's network ${USERNET}, which is sbx`),
    ...(qemu === undefined ? [] : proofOfQemu(qemu, mac)),
  ];
}

function proofOfQemu(
  facts: NonNullable<OwnDriverFacts["qemu"]>,
  mac: string,
): readonly Proven[] {
  const { argv, network, pciClasses, sockets, ends, networkSockets } = facts;
  const options = argv.map((word) => word.replace(/^--/, "-"));
  const given = (name: string) =>
    options.flatMap((word, at) => word === name ? [argv[at + 1] ?? ""] : []);
  const backends = given("-netdev");
  const fd = Number(/^socket,id=net0,fd=(\d{1,9})$/.exec(backends[0] ?? "")?.[1] ?? -1);
  const cards = pciClasses.filter((kind) => kind >> 8 === NETWORK_CONTROLLER).length;
  const lines = network.split(/\r?\n/).filter((line) => /\btype=/.test(line));
  const kinds = lines.map((line) => /\btype=([\w-]+)/.exec(line)?.[1]).sort().join();
  const open = new Set(networkSockets);
  const cable = sockets.find((socket) => socket.fd === fd);
  return [
    part("command line", [
      [backends.length === 1 && fd >= 0, "its command line names another network than one socket"],
      [!options.some((word) => FORBIDDEN.includes(word)), "its command line adds devices"],
      [
        !options.some((word) => SHARING.includes(word)) &&
        !given("-device").some((device) => SHARING_DEVICE.test(device)),
        "its command line leads to this machine past the network",
      ],
    ], "one network, which is a socket"),
    part("devices", [
      [kinds === "nic,socket", "QEMU does not have exactly one card on one cable"],
      [lines.some((line) => line.includes(`macaddr=${mac}`)), "its card has another address"],
      [cards === 1, `it has ${cards} network controllers`],
    ], `one card on one cable, ${mac}`),
    part("sockets", [
      [cable !== undefined, "QEMU's cable is no socket"],
      [
        cable === undefined || cable.peer !== undefined,
        "the kernel does not say where QEMU's cable ends",
      ],
      [
        cable?.peer === undefined || ends.includes(cable.peer),
        "QEMU's cable ends elsewhere than in netstack",
      ],
      [!sockets.some(({ inode }) => open.has(inode)), "QEMU has a socket on a network"],
    ], "the cable to netstack, and none on a network"),
  ];
}
