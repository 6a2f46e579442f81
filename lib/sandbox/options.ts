/**
 * Everything that makes one sandbox, as plain values. The builders produce them; the defaults and
 * what empty means are here.
 *
 * @module
 */
import type { NoticeTopic } from "../guest/provider.ts";
import type { Denial } from "../journal/denials.ts";
import type { Policy } from "../policy/model/policy.ts";
import type { SecretSettings } from "../policy/model/secret.ts";
import type { DnsSettings } from "../policy/model/settings.ts";
import type { TlsSettings } from "../policy/model/tls_settings.ts";
import type { ProgramValues } from "../secret/program_values.ts";

/**
 * What a mounted directory is beyond one that this machine and the guest both use, each of which sees what the
 * other changes. `cached`: nobody else writes to it while the sandbox lives, so that the guest asks only once.
 * `copy`: the same, and the guest has a copy of its own; nothing that it writes there gets to this machine.
 */
export type MountAs = "cached" | "copy";

/** A directory of the host that the guest sees; or a file, read-only and as it is at the start. */
export interface Mount {
  /** Relative to the working directory; `~` is the home directory. */
  readonly host: string;
  /** Absolute. */
  readonly guest: string;
  /** The guest cannot write there. */
  readonly readOnly: boolean;
  /** Absent: both sides use it. A `copy` is not `readOnly`. */
  readonly as?: MountAs;
}

/** A disk for all that the guest writes outside of mounts. */
export interface Disk {
  /** A multiple of 128 MiB, up to 4 TiB. */
  readonly bytes: number;
  /** The file that keeps it; relative to the working directory. Absent: the disk goes with the sandbox. */
  readonly path?: string;
  /** The file of another disk, as which this one begins; a copy is used. Absent: it begins empty. */
  readonly from?: string;
  /**
   * Whose it is, in 32 hexadecimal digits. On a disk that has another's mark, keys and seeds by which programs
   * know a machine are removed. Absent: it stays whose it was.
   */
  readonly owner?: string;
}

/** A port of this machine that leads to one of the guest. Inbound policy judges every flow. */
export interface Publication {
  /** The address to listen on. Absent: 127.0.0.1 and ::1. */
  readonly bind?: string;
  /** 0 lets the system choose; {@link PublishedPort} tells what it chose. */
  readonly hostPort: number;
  /** The port of the guest. */
  readonly guestPort: number;
  /** What is led there. */
  readonly protocol: "tcp" | "udp";
}

/** A publication that listens. */
export interface PublishedPort {
  /** The address of this machine that it listens on. */
  readonly address: string;
  /** Its port there. */
  readonly port: number;
  /** The port of the guest. */
  readonly guestPort: number;
  /** What is led there. */
  readonly protocol: "tcp" | "udp";
  /** Who needs it, whatever the policy says, so that it cannot be closed. Absent: anybody may close it. */
  readonly keptFor?: "lima";
}

/** The network of a sandbox. */
export interface NetworkOptions {
  /** What decides about flows. */
  readonly policy: Policy;
  /** How names are resolved. */
  readonly dns: DnsSettings;
  /** What is opened of TLS. */
  readonly tls: TlsSettings;
  /** Flows at once, TCP and UDP together. Absent: what netstack can hold. */
  readonly maxConnections?: number;
  /** New flows a second. Absent: no limit of the user's. */
  readonly newFlowsPerSecond?: number;
  /** Ports of this machine that lead to the guest. */
  readonly publish: readonly Publication[];
  /** What the guest has placeholders of. */
  readonly secrets: SecretSettings;
  /** The values of those whose source is `program`. Absent: there are none. */
  readonly secretValues?: ProgramValues;
}

/** A sandbox as plain values. */
export interface SandboxOptions {
  /** The guest's host name, unless `hostname` says another. */
  readonly name: string;
  /** May have several labels. */
  readonly hostname?: string;
  /** Whom commands run as: `NAME` or `UID` of the guest, with `:GROUP` if wanted. Absent: root. */
  readonly user?: string;
  /** Processors of the guest. */
  readonly cpus: number;
  /** Its memory in MiB. */
  readonly memoryMiB: number;
  /** What it writes to in place of its memory. Absent: its memory. */
  readonly disk?: Disk;
  /** Tag of the snapshot that its disk begins as. Absent: none. */
  readonly from?: string;
  /** A directory with the system that it runs; relative to the working directory. Absent: this machine's. */
  readonly root?: string;
  /** Whether the guest may go on from a template, if there is one, instead of booting. */
  readonly template: boolean;
  /** Whether its snapshots and forks can have its memory and processes. */
  readonly savable?: true;
  /** What it sees of this machine's files beside the system. */
  readonly mounts: readonly Mount[];
  /** Set for every command on top of the guest's own environment. */
  readonly env: Readonly<Record<string, string>>;
  /** Where commands start. Absent: the guest's home directory. */
  readonly workdir?: string;
  /** Time limit of each command, in milliseconds. Absent: none. */
  readonly timeoutMs?: number;
  /** Its network, and who decides about it. */
  readonly network: NetworkOptions;
  /** Journal file; one JSON object a line. */
  readonly journal?: string;
  /** The program that the sandbox is for, as the journal's first line names it. */
  readonly command?: string;
  /** Files that these values came from; a word says so when the guest can change one. */
  readonly inputs: readonly string[];
  /** Called for each refusal. */
  readonly onDenial?: (denial: Denial) => void;
  /** Lines worth telling a person: emulation instead of KVM, a policy that shadows itself, … */
  readonly onNotice?: (line: string, topic?: NoticeTopic) => void;
}

export const DEFAULT_CPUS = 1;
export const DEFAULT_MEMORY_MIB = 1024;

/** Below this the guest does not reach its agent. */
export const MIN_MEMORY_MIB = 128;
