/**
 * Ports of this machine that lead to the guest. netstack listens; every peer that comes is a flow of
 * its own and judged like one.
 *
 * @module
 */
import { formatEndpoint } from "../base/address.ts";
import { SbxError } from "../base/errors.ts";
import { escapeText } from "../base/escape.ts";
import type { Control } from "../flow/control.ts";
import type { FromNetstack } from "../flow/control_message.ts";
import { Calls } from "../wire/calls.ts";
import type { Publication, PublishedPort } from "./options.ts";

/** Where a publication without an address of its own listens: reachable from this machine only. */
const LOOPBACK = ["127.0.0.1", "::1"] as const;

/** How often port 0 is tried anew when IPv6 has no room on the number that IPv4 was given. */
const TRIES = 8;

/** Ports of this machine that are to lead to the guest, and whether for somebody in particular. */
export type PublisherRequest = Publication & Pick<PublishedPort, "keptFor">;

interface Request {
  readonly publication: PublisherRequest;
  readonly bind: string;
  readonly port: number;
}

export class Publisher {
  /** What netstack listens on, by the number under which it was told to. */
  readonly listening: ReadonlyMap<number, PublishedPort>;
  readonly #listening = new Map<number, PublishedPort>();
  /** What was asked for and listens, with the numbers of its ports. */
  #publications: readonly Opened[] = [];
  readonly #control: Pick<Control, "send">;
  readonly #waiting = new Calls<
    Request & { readonly settled: PromiseWithResolvers<Listening> }
  >();

  constructor(control: Pick<Control, "send">) {
    this.listening = this.#listening;
    this.#control = control;
  }

  /** What was asked for, as long as any port of it listens; without what is kept for somebody. */
  get publications(): readonly Publication[] {
    return this.#publications.filter(({ publication }) => publication.keptFor === undefined)
      .map(({ publication }) => publication);
  }

  /**
   * Listens on every address of the publication, on one and the same port.
   *
   * @throws SbxError PORT_BUSY, PORT_UNAVAILABLE
   */
  async publish(publication: PublisherRequest): Promise<PublishedPort[]> {
    for (let tries = 1;; tries++) {
      const listening: Listening[] = [];
      try {
        await this.#listenOnAll(publication, listening);
        const refs = listening.map(({ ref }) => ref);
        this.#publications = [...this.#publications, { publication, refs }];
        return listening.map(({ port }) => port);
      } catch (error) {
        for (const { ref } of listening) this.#unpublish(ref);
        const chosen = publication.hostPort === 0 && listening.length > 0;
        if (!chosen || tries === TRIES || !isBusy(error)) throw error;
      }
    }
  }

  /** Stops listening there; returns its number, under which connections came in. */
  unpublish(port: PublishedPort): number | undefined {
    for (const [ref, open] of this.#listening) {
      const { address, port: number, protocol } = open;
      if (address !== port.address || number !== port.port || protocol !== port.protocol) continue;
      this.#unpublish(ref);
      return ref;
    }
    return undefined;
  }

  /** Takes netstack's answer. */
  take(message: FromNetstack & { t: "published" | "publish-failed" }): void {
    const waiting = this.#waiting.settle(message.ref);
    if (waiting === undefined) return;
    if (message.t === "publish-failed") return waiting.settled.reject(failure(waiting, message));
    const { guestPort, protocol, keptFor } = waiting.publication;
    const port: PublishedPort = {
      address: message.addr,
      port: message.port,
      guestPort,
      protocol,
      ...(keptFor === undefined ? {} : { keptFor }),
    };
    this.#listening.set(message.ref, port);
    waiting.settled.resolve({ ref: message.ref, port });
  }

  /** Fails whoever still waits. */
  close(error: SbxError): void {
    for (const { settled } of this.#waiting.settleAll()) settled.reject(error);
  }

  async #listenOnAll(publication: PublisherRequest, listening: Listening[]): Promise<void> {
    let port = publication.hostPort;
    for (const bind of publication.bind === undefined ? LOOPBACK : [publication.bind]) {
      try {
        const listener = await this.#listen({ publication, bind, port });
        port = listener.port.port;
        listening.push(listener);
      } catch (error) {
        // A machine without IPv6 has no ::1; nobody asked for it by name.
        if (!isUnavailable(error) || listening.length === 0) throw error;
      }
    }
  }

  #unpublish(ref: number): void {
    this.#listening.delete(ref);
    this.#publications = this.#publications.filter(({ refs }) =>
      refs.some((each) => this.#listening.has(each))
    );
    this.#control.send({ t: "unpublish", ref });
  }

  #listen(request: Request): Promise<Listening> {
    const settled = Promise.withResolvers<Listening>();
    const ref = this.#waiting.open({ ...request, settled });
    const { bind, port, publication: { guestPort, protocol: proto } } = request;
    this.#control.send({ t: "publish", ref, bind, port, guestPort, proto });
    return settled.promise;
  }
}

interface Opened {
  readonly publication: PublisherRequest;
  readonly refs: readonly number[];
}

interface Listening {
  readonly ref: number;
  readonly port: PublishedPort;
}

function isBusy(error: unknown): boolean {
  return error instanceof SbxError && error.code === "PORT_BUSY";
}

function isUnavailable(error: unknown): boolean {
  return error instanceof SbxError && error.code === "PORT_UNAVAILABLE";
}

function failure(
  { bind, port, publication: { protocol } }: Request,
  { code, message }: FromNetstack & { t: "publish-failed" },
): SbxError {
  const cannot = `Cannot publish ${protocol} ${formatEndpoint(bind, port)}`;
  switch (code) {
    case "EADDRINUSE":
      return new SbxError("PORT_BUSY", `${cannot}: the port is taken`, {
        hint: "choose another host port, or 0 to let the system choose",
      });
    case "EACCES":
      return new SbxError("PORT_UNAVAILABLE", `${cannot}: permission denied`, {
        hint: "choose a host port from 1024 up",
      });
    case "EADDRNOTAVAIL":
      return new SbxError("PORT_UNAVAILABLE", `${cannot}: it is no address of this machine`);
    default:
      return new SbxError("PORT_UNAVAILABLE", `${cannot}: ${escapeText(message)}`);
  }
}
