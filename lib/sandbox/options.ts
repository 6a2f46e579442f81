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

/** A directory of the host that the guest sees; or a file, read-only and as it is at the start. */
export interface Mount {
  /** Relative to the working directory; `~` is the home directory. */
  readonly host: string;
  /** Absolute. */
  readonly guest: string;
  readonly readOnly: boolean;
}

/** A port of this machine that leads to one of the guest. Inbound policy judges every flow. */
export interface Publication {
  /** The address to listen on. Absent: 127.0.0.1 and ::1. */
  readonly bind?: string;
  /** 0 lets the system choose; {@link PublishedPort} tells what it chose. */
  readonly hostPort: number;
  readonly guestPort: number;
  readonly protocol: "tcp" | "udp";
}

/** A publication that listens. */
export interface PublishedPort {
  readonly address: string;
  readonly port: number;
  readonly guestPort: number;
  readonly protocol: "tcp" | "udp";
}

export interface NetworkOptions {
  readonly policy: Policy;
  readonly dns: DnsSettings;
  readonly tls: TlsSettings;
  /** Flows at once, TCP and UDP together. Absent: what netstack can hold. */
  readonly maxConnections?: number;
  /** New flows a second. Absent: no limit of the user's. */
  readonly newFlowsPerSecond?: number;
  readonly publish: readonly Publication[];
  readonly secrets: SecretSettings;
  /** The values of those whose source is `program`. Absent: there are none. */
  readonly secretValues?: ProgramValues;
}

export interface SandboxOptions {
  /** The guest's host name, unless `hostname` says another. */
  readonly name: string;
  /** May have several labels. */
  readonly hostname?: string;
  /** Whom commands run as: `NAME` or `UID` of the guest, with `:GROUP` if wanted. Absent: root. */
  readonly user?: string;
  readonly cpus: number;
  readonly memoryMiB: number;
  readonly mounts: readonly Mount[];
  /** Set for every command on top of the guest's own environment. */
  readonly env: Readonly<Record<string, string>>;
  /** Where commands start. Absent: the guest's home directory. */
  readonly workdir?: string;
  /** Time limit of each command, in milliseconds. Absent: none. */
  readonly timeoutMs?: number;
  readonly network: NetworkOptions;
  /** Journal file; one JSON object a line. */
  readonly journal?: string;
  /** The program that the sandbox is for, as the journal's first line names it. */
  readonly command?: string;
  /** Files that these values came from; a word says so when the guest can change one. */
  readonly inputs: readonly string[];
  readonly onDenial?: (denial: Denial) => void;
  /** Lines worth telling a person: emulation instead of KVM, a policy that shadows itself, … */
  readonly onNotice?: (line: string, topic?: NoticeTopic) => void;
}

export const DEFAULT_CPUS = 1;
export const DEFAULT_MEMORY_MIB = 1024;

/** Below this the guest does not reach its agent. */
export const MIN_MEMORY_MIB = 128;
