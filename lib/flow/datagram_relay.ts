/**
 * One UDP flow that sbx relays because what its guest sends is looked at: datagram by datagram, from a
 * socket of its own, to the judged address and from nobody else.
 *
 * ```
 * waiting ── the first datagram that passes ──► connecting ──► open
 *    └──────────────┴──── one that does not ──────┴─► blocked    every other is dropped
 * any ── nobody listens, again and again; the flow is over ──► closed
 * ```
 *
 * How long a flow may be idle is netstack's to know, as of those that it moves itself.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { createSocket, type Socket } from "node:dgram";
import { isIPv6 } from "node:net";
import { systemCode } from "../base/file_error.ts";
import type { FlowEnd } from "./control_message.ts";
import { type DialTarget, dialTarget, endOfDial, GUARD_CODE } from "./dial.ts";
import type { ServedFlow } from "./flow_table.ts";
import type { DatagramFlow } from "./mux.ts";

export interface DatagramRelaySpec {
  readonly datagrams: DatagramFlow;
  readonly flow: ServedFlow;
  /** Whether a datagram of the guest's may pass. After the first that may not, none does. */
  readonly admit: (payload: Uint8Array) => boolean;
  /** There is a socket towards this address. */
  readonly onDialled: (address: string) => void;
  /** How the flow ended, where that is known here. */
  readonly onEnd: (end: FlowEnd) => void;
}

/** What may wait for the socket. */
const MAX_WAITING = 8;
const MAX_WAITING_BYTES = 64 * 1024;

/** A destination that says so often in a row that nobody listens has no flow any more. */
const MAX_FAILURES = 4;

type State = "waiting" | "connecting" | "open" | "blocked" | "closed";

/** Serves the flow until it ends. */
export function relayDatagrams(spec: DatagramRelaySpec): void {
  const relay = new DatagramRelay(spec);
  spec.datagrams.onDatagram = (payload) => relay.take(payload);
  spec.datagrams.onClose = () => relay.close();
}

class DatagramRelay {
  readonly #spec: DatagramRelaySpec;
  #state: State = "waiting";
  #socket: Socket | undefined;
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #failures = 0;

  constructor(spec: DatagramRelaySpec) {
    this.#spec = spec;
  }

  /** A datagram of the guest's. */
  take(payload: Uint8Array): void {
    if (this.#state === "blocked" || this.#state === "closed") return;
    if (!this.#spec.admit(payload)) {
      this.#leave("blocked");
      return;
    }
    // Bytes of the channel are only valid during the call.
    const datagram = Buffer.from(payload);
    if (this.#state === "open") return this.#socket?.send(datagram);
    const bytes = this.#waitingBytes + datagram.length;
    if (this.#waiting.length >= MAX_WAITING || bytes > MAX_WAITING_BYTES) return;
    this.#waiting.push(datagram);
    this.#waitingBytes = bytes;
    if (this.#state === "waiting") this.#connect();
  }

  /** The flow is over. */
  close(): void {
    this.#leave("closed");
  }

  #connect(): void {
    const target = dialTarget(this.#spec.flow);
    if (target === null) return this.#end(GUARD_CODE);
    this.#state = "connecting";
    try {
      const socket = createSocket(isIPv6(target.address) ? "udp6" : "udp4");
      this.#socket = socket;
      socket.on("error", (error: NodeJS.ErrnoException) => this.#failed(error.code ?? ""));
      socket.on("message", (payload) => this.#answer(payload));
      // Connected, so that the kernel keeps strangers' datagrams away and reports a closed port.
      socket.connect(target.port, target.address, () => this.#connected(socket, target));
    } catch (error) {
      this.#failed(systemCode(error) ?? ""); // no descriptor is left, say
    }
  }

  #connected(socket: Socket, { at, address, implicit }: DialTarget): void {
    if (this.#state !== "connecting") return;
    if (implicit && socket.address().address === address) return this.#end(GUARD_CODE);
    this.#state = "open";
    this.#spec.onDialled(at);
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const datagram of waiting) socket.send(datagram);
  }

  #answer(payload: Uint8Array): void {
    if (this.#state !== "open") return;
    this.#failures = 0;
    const { datagrams } = this.#spec;
    if (!datagrams.congested) datagrams.send(payload);
  }

  /** A datagram that is too large for the way there is lost, as on any network. */
  #failed(code: string): void {
    if (this.#state === "connecting") return this.#end(code);
    if (this.#state !== "open" || code === "EMSGSIZE") return;
    if (code === "ECONNREFUSED") this.#spec.datagrams.refuse();
    if (++this.#failures >= MAX_FAILURES) this.#end("ECONNREFUSED");
  }

  #end(code: string): void {
    this.#leave("closed");
    this.#spec.onEnd(endOfDial(code));
    this.#spec.datagrams.end();
  }

  #leave(state: "blocked" | "closed"): void {
    if (this.#state === "closed") return;
    this.#state = state;
    this.#socket?.close();
    this.#socket = undefined;
    this.#waiting = [];
  }
}
