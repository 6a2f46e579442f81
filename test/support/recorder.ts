/**
 * The servers of one namespace, as a test sees them: what was connected to them, and with what.
 *
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";

export interface Listener {
  readonly net: "tcp" | "udp";
  readonly at: string;
  readonly as: "http" | "https" | "tls" | "names" | "banner" | "echo" | "bulk" | "canary";
}

/** What the resolvers know: names, their records by type. See names.go for the types. */
export type Zone = Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>;

/** Everything since the last reset; keys are `address:port`, of packets `protocol address:port`. */
export interface Report {
  readonly accepts: Readonly<Record<string, number>>;
  readonly bytes: Readonly<Record<string, number>>;
  readonly datagrams: Readonly<Record<string, number>>;
  readonly packets: Readonly<Record<string, number>>;
  readonly names: readonly { readonly to: string; readonly sni: string }[];
  readonly requests: readonly {
    readonly to: string;
    readonly host: string;
    readonly method: string;
    readonly path: string;
    readonly proto: string;
  }[];
  readonly queries: readonly {
    readonly to: string;
    readonly name: string;
    readonly type: string;
    readonly via: "udp" | "tcp";
  }[];
  readonly streams: readonly {
    readonly to: string;
    readonly bytes: number;
    readonly sha256: string;
  }[];
  readonly letters: readonly Letter[];
}

/** A request to a member's server, whole. Fields by their names in lower case; of the body the first 64 KiB. */
export interface Letter {
  readonly host: string;
  readonly method: string;
  readonly target: string;
  readonly proto: string;
  readonly fields: Readonly<Record<string, readonly string[]>>;
  readonly body: string;
  readonly status: number;
}

/** A server that serves nobody without its credential; see members.go. */
export interface Member {
  /** In lower case. */
  readonly field: string;
  /** The whole of it, as a client that has the credential sends it. */
  readonly value: string;
  /** Where among what every server has this one begins. */
  readonly root?: string;
  /** The `WWW-Authenticate` of its refusals. */
  readonly challenge?: string;
  /** It serves anybody, as a bucket for objects; whoever reads its letters checks what signed them. */
  readonly bucket?: true;
}

/** By their names. */
export type Members = Readonly<Record<string, Member>>;

export class Recorder {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(child: ChildProcess) {
    this.#child = child;
    if (child.stdout === null) throw new Error("the servers have no stdout");
    this.#lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  }

  /** Starts the servers; answers them and the certificate that signs their TLS names, as PEM. */
  static async start(
    argv: readonly string[],
    config: {
      readonly listeners: readonly Listener[];
      readonly capture?: string;
      readonly files?: string;
      readonly zone?: Zone;
      readonly lies?: Readonly<Record<string, Zone>>;
      readonly members?: Members;
    },
  ): Promise<{ recorder: Recorder; ca: string }> {
    const [command = "", ...args] = argv;
    const child = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"] });
    const recorder = new Recorder(child);
    child.stdin.write(JSON.stringify(config) + "\n");
    const { ca } = await recorder.#line() as { ca: string };
    return { recorder, ca };
  }

  async #line(): Promise<unknown> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error("the servers of the fake internet ended");
    return JSON.parse(value as string);
  }

  #ask(what: "report" | "reset"): Promise<Report> {
    const answer = this.#turn.then(() => {
      this.#child.stdin?.write(JSON.stringify({ do: what }) + "\n");
      return this.#line() as Promise<Report>;
    });
    this.#turn = answer.catch(() => {});
    return answer;
  }

  report(): Promise<Report> {
    return this.#ask("report");
  }

  /** Starts to count afresh; answers what was counted until now. */
  reset(): Promise<Report> {
    return this.#ask("reset");
  }

  stop(): Promise<void> {
    const gone = new Promise<void>((resolve) => this.#child.once("close", () => resolve()));
    this.#child.stdin?.end();
    return gone;
  }
}

/** How much a report has on addresses: accepted connections, datagrams, and packets of any kind. */
export function contacts(report: Report, addresses: readonly string[]): Record<string, number> {
  const hits: Record<string, number> = {};
  for (const table of [report.accepts, report.datagrams, report.packets]) {
    for (const [key, count] of Object.entries(table)) {
      const where = key.slice(key.indexOf(" ") + 1);
      if (addresses.some((at) => where === at || isPortOf(where, at))) hits[key] = count;
    }
  }
  return hits;
}

function isPortOf(endpoint: string, address: string): boolean {
  return endpoint.startsWith(address.includes(":") ? `[${address}]:` : `${address}:`);
}
