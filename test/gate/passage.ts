/**
 * One request through a relay and its gate, in either version of HTTP: what its server heard, and what the
 * guest saw of it.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import type { Exchange } from "../../lib/http/exchange.ts";
import type { RequestGate } from "../../lib/http/gate.ts";
import { FrameReader, FrameType } from "../../lib/http/h2/frame.ts";
import type { RelaySpec } from "../../lib/http/relay.ts";
import { converse, head } from "../http/conversation.ts";
import { converse as converse2 } from "../http/h2_conversation.ts";
import { settle } from "../http/h2_peer.ts";
import { API } from "../secret/held.ts";

export type Version = "HTTP/1" | "HTTP/2";
export const VERSIONS: readonly Version[] = ["HTTP/1", "HTTP/2"];

export interface Said {
  readonly method?: string;
  readonly target?: string;
  readonly host?: string;
  /** In lower case, as HTTP/2 has them. */
  readonly fields?: readonly (readonly [name: string, value: string])[];
  /** In the pieces that it is sent in. Absent: none. One character a byte. */
  readonly body?: readonly string[];
  /** Whether its length is stated; true when absent. */
  readonly stated?: boolean;
  readonly trailers?: readonly (readonly [name: string, value: string])[];
}

export interface Heard {
  readonly method: string;
  readonly target: string;
  /** Without Host, `:authority` and what frames the body. */
  readonly fields: readonly (readonly [name: string, value: string])[];
  readonly length: number | null;
  readonly body: string;
  readonly trailers: readonly (readonly [name: string, value: string])[];
}

export interface Passage {
  /** Null: nothing. */
  readonly heard: Heard | null;
  /** All bytes that the server heard, one character a byte. */
  readonly bytes: string;
  /** A status with the reason of a refusal, `reset`, or nothing yet. */
  readonly saw: string;
  readonly exchanges: readonly Exchange[];
}

const PLACE: Partial<RelaySpec> = {
  destination: { scheme: "https", host: null, port: 443 },
};

export function pass(version: Version, gate: RequestGate, said: Said): Promise<Passage> {
  return version === "HTTP/1" ? pass1(gate, said) : pass2(gate, said);
}

const size = (body: readonly string[]) => body.reduce((sum, { length }) => sum + length, 0);

async function pass1(gate: RequestGate, said: Said): Promise<Passage> {
  const { method = "POST", target = "/", host = API, fields = [], body, trailers = [] } = said;
  const { guest, server, exchanges } = converse({ ...PLACE, gate });
  const chunked = body !== undefined && (said.stated === false || trailers.length > 0);
  const framing = body === undefined
    ? []
    : [chunked ? "transfer-encoding: chunked" : `content-length: ${size(body)}`];
  const lines = fields.map(([name, value]) => `${name}: ${value}`);
  guest.say(
    Buffer.from(
      head(`${method} ${target} HTTP/1.1`, `host: ${host}`, ...lines, ...framing),
      "latin1",
    ),
  );
  for (const piece of body ?? []) {
    if (piece === "") continue;
    guest.say(chunked ? `${piece.length.toString(16)}\r\n${piece}\r\n` : piece);
    await settle();
  }
  if (chunked) guest.say(`0\r\n${head(...trailers.map(([name, value]) => `${name}: ${value}`))}`);
  await settle();
  const heard = heard1(server.heard);
  if (heard !== null) server.say(head("HTTP/1.1 200 OK", "content-length: 0"));
  await settle();
  const saw = /^HTTP\/1.1 (\d+)(?:[^]*\r\nsbx-reason: ([\w-]+))?/.exec(guest.heard);
  const reset = guest.stream.destroyed && !guest.ended;
  return {
    heard,
    bytes: server.heard,
    saw: saw === null ? reset ? "reset" : "" : [saw[1], saw[2]].filter(Boolean).join(" "),
    exchanges,
  };
}

function heard1(text: string): Heard | null {
  const end = text.indexOf("\r\n\r\n");
  if (end < 0) return null;
  const [first = "", ...lines] = text.slice(0, end).split("\r\n");
  const [method = "", target = ""] = first.split(" ");
  const all = lines.map(pairOf);
  const rest = text.slice(end + 4);
  const chunked = all.some(([name]) => name === "transfer-encoding");
  const stated = all.find(([name]) => name === "content-length")?.[1];
  const fields = all.filter(([name]) => !FRAMING.has(name));
  const length = stated === undefined ? null : Number(stated);
  return {
    method,
    target,
    fields,
    length,
    ...(chunked ? dechunked(rest) : { body: rest, trailers: [] }),
  };
}

const FRAMING: ReadonlySet<string> = new Set(["host", "content-length", "transfer-encoding"]);

function pairOf(line: string): [string, string] {
  const colon = line.indexOf(":");
  return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
}

function dechunked(text: string): { body: string; trailers: [string, string][] } {
  let body = "";
  for (let at = 0;;) {
    const end = text.indexOf("\r\n", at);
    if (end < 0) return { body, trailers: [] };
    const length = parseInt(text.slice(at, end), 16);
    if (length === 0) {
      const lines = text.slice(end + 2).split("\r\n").filter((line) => line !== "");
      return { body, trailers: lines.map(pairOf) };
    }
    body += text.slice(end + 2, end + 2 + length);
    at = end + 2 + length + 2;
  }
}

async function pass2(gate: RequestGate, said: Said): Promise<Passage> {
  const { method = "POST", target = "/", host = API, fields = [], body, trailers = [] } = said;
  const { guest, server, exchanges } = await converse2({ ...PLACE, gate });
  const bytes: Buffer[] = [];
  server.stream.on("data", (piece: Buffer) => bytes.push(piece));
  const stated: [string, string][] = body !== undefined && said.stated !== false
    ? [["content-length", String(size(body))]]
    : [];
  guest.headers(1, [
    [":method", method],
    [":scheme", "https"],
    [":authority", host],
    [":path", target],
    ...fields.map(([name, value]): [string, string] => [name, value]),
    ...stated,
  ], body === undefined);
  for (const [at, piece] of (body ?? []).entries()) {
    const last = trailers.length === 0 && at === (body?.length ?? 0) - 1;
    guest.data(1, Buffer.from(piece, "latin1"), last);
    await settle();
  }
  if (trailers.length > 0) {
    guest.headers(1, trailers.map(([name, value]): [string, string] => [name, value]));
  }
  await settle();
  const heads = server.on(1).filter((one) => one.type === "headers");
  if (heads.length > 0) server.headers(1, { ":status": "200" });
  await settle();
  return {
    heard: heard2(heads.map(({ fields }) => fields), contentOf(Buffer.concat(bytes))),
    bytes: Buffer.concat(bytes).toString("latin1"),
    saw: guest.on(1).map((one) =>
      one.type === "headers"
        ? [one.fields[":status"], one.fields["sbx-reason"]].filter(Boolean).join(" ")
        : one.type === "reset" && one.code !== 0
        ? "reset"
        : ""
    ).filter((text) => text !== "").join(", "),
    exchanges,
  };
}

/** Of all streams, one character a byte. */
function contentOf(bytes: Buffer): string {
  const frames = [...new FrameReader(false).push(bytes)];
  return frames.map(({ type, payload }) =>
    type === FrameType.Data ? payload.toString("latin1") : ""
  )
    .join("");
}

function heard2(
  [first, second = {}]: readonly Record<string, string>[],
  body: string,
): Heard | null {
  if (first === undefined) return null;
  const { ":method": method = "", ":path": target = "", "content-length": length, ...rest } = first;
  const fields = Object.entries(rest).filter(([name]) => !name.startsWith(":"));
  return {
    method,
    target,
    fields,
    length: length === undefined ? null : Number(length),
    body,
    trailers: Object.entries(second),
  };
}
