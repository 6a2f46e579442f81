/**
 * Puts granted values into the text messages that a guest sends over a WebSocket: JSON-escaped in a
 * message that is JSON, by its first character, and as they are in any other. Binary messages, pings and
 * farewells are only looked at.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import type { Grant } from "../grant.ts";
import { type BodySubstitution, substituteBody } from "../substitute_body.ts";
import { Frames, type MessageFilter, Messages } from "./messages.ts";

export interface MessageSubstitution {
  /** What may go on. @throws FrameFault, and whatever `look` throws */
  push(bytes: Buffer): Buffer;
  /** Values that were put in, and placeholders that went on as they are: of messages that are over. */
  counted(): Pick<BodySubstitution, "used" | "inert">;
}

/**
 * `grants`: those of the request that asked for the WebSocket. Where none is for messages, all of them go
 * on as they come, and what is counted is what was put in: nothing.
 */
export function substituteMessages(
  grants: readonly Grant[],
  look: (bytes: Buffer, of: "message" | "control") => void,
): MessageSubstitution {
  const [used, inert] = [new Map<string, number>(), new Map<string, number>()];
  const count = (one: BodySubstitution) => {
    for (const [counts, tallies] of [[used, one.used], [inert, one.inert]] as const) {
      for (const { name, count } of tallies) counts.set(name, (counts.get(name) ?? 0) + count);
    }
  };
  const on = grants.some(({ secret }) => secret.places.has("websocket"));
  const messages = on
    ? new Messages({
      from: "client",
      look,
      open: (kind) => kind === "text" ? new TextMessage(grants, count) : null,
    })
    : new Frames({ from: "client", look });
  const all = (counts: ReadonlyMap<string, number>) =>
    [...counts].map(([name, count]) => ({ name, count }));
  return {
    push: (bytes) => messages.push(bytes),
    counted: () => ({ used: all(used), inert: all(inert) }),
  };
}

/** RFC 8259 2. A number or a word is text as well as it is JSON. */
const JSON_BEGINS = /^[[{"]/;

class TextMessage implements MessageFilter {
  readonly #grants: readonly Grant[];
  readonly #count: (one: BodySubstitution) => void;
  /** Null as long as nothing but blanks has come. */
  #text: BodySubstitution | null = null;

  constructor(grants: readonly Grant[], count: (one: BodySubstitution) => void) {
    this.#grants = grants;
    this.#count = count;
  }

  push(bytes: Buffer): Buffer {
    if (this.#text !== null) return this.#text.push(bytes);
    const begin = bytes.findIndex((byte) => !BLANKS.has(byte));
    if (begin < 0) return bytes;
    const kind = JSON_BEGINS.test(String.fromCharCode(bytes[begin] ?? 0)) ? "json" : "plain";
    this.#text = substituteBody({ kind }, this.#grants, "websocket");
    return this.#text.push(bytes);
  }

  end(): Buffer {
    const rest = this.#text?.end() ?? Buffer.alloc(0);
    if (this.#text !== null) this.#count(this.#text);
    return rest;
  }
}

const BLANKS: ReadonlySet<number> = new Set([0x20, 0x09, 0x0a, 0x0d]);
