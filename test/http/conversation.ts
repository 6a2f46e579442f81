/**
 * Both ends of a relay in the test's hands: what a guest says, what a server says, and what each of
 * them hears.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import type { Duplex } from "node:stream";
import type { Exchange, RelayEnd, RequestLine } from "../../lib/http/exchange.ts";
import { judging } from "../../lib/http/gate.ts";
import { relay, type RelaySpec } from "../../lib/http/relay.ts";
import { pair } from "./pair.ts";

/** One end of a connection, as a script sees it. */
export class Peer {
  readonly stream: Duplex;
  readonly #chunks: Buffer[] = [];
  #wake = () => {};
  #over = false;
  ended = false;

  constructor(stream: Duplex) {
    this.stream = stream;
    const over = () => {
      this.#over = true;
      this.#wake();
    };
    stream.on("data", (bytes: Buffer) => {
      this.#chunks.push(bytes);
      this.#wake();
    });
    stream.on("end", () => {
      this.ended = true;
      over();
    });
    stream.on("close", over).on("error", () => {});
  }

  say(text: string | Uint8Array): void {
    this.stream.write(typeof text === "string" ? Buffer.from(text, "latin1") : text);
  }

  /** Everything heard so far, one character a byte. */
  get heard(): string {
    return Buffer.concat(this.#chunks).toString("latin1");
  }

  /** Waits until `text` was heard; rejects when the connection is over without it. */
  async hears(text: string): Promise<string> {
    while (!this.heard.includes(text)) {
      if (this.#over) throw new Error(`over without ${JSON.stringify(text)}: ${this.heard}`);
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    return this.heard;
  }

  /** Waits for the end of the connection; everything that was heard. */
  async over(): Promise<string> {
    while (!this.#over) await new Promise<void>((resolve) => this.#wake = resolve);
    return this.heard;
  }
}

export interface Conversation {
  readonly guest: Peer;
  readonly server: Peer;
  readonly exchanges: Exchange[];
  readonly judged: RequestLine[];
  readonly ends: RelayEnd[];
  readonly closed: Promise<void>;
}

/** A relay for api.allowed.test:443 between two scripts. */
export function converse(spec: Partial<RelaySpec> = {}): Conversation {
  const [guest, guestSide] = pair();
  const [server, serverSide] = pair();
  const exchanges: Exchange[] = [];
  const judged: RequestLine[] = [];
  const ends: RelayEnd[] = [];
  const closed = relay({
    guest: guestSide,
    upstream: { kind: "open", stream: serverSide },
    protocol: "http/1.1",
    destination: { scheme: "https", host: "api.allowed.test", port: 443 },
    gate: judging((request) => {
      judged.push(request);
      return null;
    }),
    onExchange: (exchange) => exchanges.push(exchange),
    onEnd: (end) => ends.push(end),
    ...spec,
  });
  return { guest: new Peer(guest), server: new Peer(server), exchanges, judged, ends, closed };
}

/** Lines with the line ends of HTTP/1 and the empty line. */
export function head(...lines: string[]): string {
  return `${lines.join("\r\n")}\r\n\r\n`;
}
