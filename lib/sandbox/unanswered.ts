/**
 * Published ports behind which nobody is. Whoever connects sees a reset, which a refusal by policy is as
 * well, so a word says once for each port what it was. Pure.
 *
 * @module
 */
import { formatEndpoint } from "../base/address.ts";
import type { FlowEvent } from "../flow/flow_event.ts";
import type { PublishedPort } from "./options.ts";

export class Unanswered {
  readonly #onNotice: (line: string) => void;
  /** There are as many as ports were published. */
  readonly #told = new Set<string>();
  /** Flows of whose end was told why, until it comes. */
  readonly #explained = new Set<number>();

  constructor(onNotice: (line: string) => void) {
    this.#onNotice = onNotice;
  }

  /** Looks at what became of a flow. */
  see(event: FlowEvent): void {
    if (event.kind !== "closed" || event.info.dir !== "inbound") return;
    if (this.#explained.delete(event.id) || event.opened || event.end !== "refused") return;
    this.#tell(`nothing listens on ${event.info.proto} port ${event.info.dport} in the guest`);
  }

  /** A flow is about to be refused although there is a server, on an address of the guest's loopback. */
  onlyLocal(id: number, { address, port }: PublishedPort, at: string): void {
    this.#explained.add(id);
    const everywhere = at.includes(":") ? "::" : "0.0.0.0";
    this.#tell(
      `connections to ${
        formatEndpoint(address, port)
      } are refused: the guest's server listens on ` +
        `its ${at} only; publish it on 127.0.0.1, or let it listen on ${everywhere}`,
    );
  }

  /** What came to a UDP port, the guest sent back. */
  datagram({ guestPort }: PublishedPort): void {
    this.#tell(
      `nothing listens on udp port ${guestPort} in the guest where others reach it: a server has ` +
        "to listen on 0.0.0.0 or ::, not on 127.0.0.1 or ::1 alone",
    );
  }

  #tell(line: string): void {
    if (this.#told.has(line)) return;
    this.#told.add(line);
    this.#onNotice(line);
  }
}
