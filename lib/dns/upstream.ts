/**
 * Asking the host's resolvers: UDP from a fresh random port with a fresh random id each time, TCP
 * when the answer was truncated, the next resolver when one fails.
 *
 * @module
 */
import { randomInt } from "node:crypto";
import { createSocket } from "node:dgram";
import { connect, isIPv6 } from "node:net";
import {
  encodeMessage,
  Flag,
  type Message,
  parseMessage,
  type Question,
  Rcode,
  rcodeOf,
} from "./message.ts";
import { nameText } from "./wire_name.ts";

/** Where to ask. */
export interface Resolver {
  readonly address: string;
  readonly port: number;
}

export interface UpstreamOptions {
  readonly resolvers: readonly Resolver[];
  /** For the whole question over all resolvers and tries, in milliseconds. */
  readonly timeoutMs: number;
}

/** Large enough for most answers, small enough not to be fragmented (DNS flag day 2020). */
const UDP_SIZE = 1232;

/** One try over UDP; lost packets are common, and the next resolver may be faster. */
const TRY_MS = 2_000;

/** No resolver answered. */
export class NoAnswer extends Error {
  override readonly name = "NoAnswer";
}

/**
 * The answer of the first resolver that gives one. A SERVFAIL or REFUSED is kept as the answer only
 * when no other resolver does better.
 *
 * @throws NoAnswer
 */
export async function askUpstream(
  question: Question,
  dnssecOk: boolean,
  { resolvers, timeoutMs }: UpstreamOptions,
): Promise<Message> {
  const deadline = performance.now() + timeoutMs;
  let worst: Message | undefined;
  for (let round = 0; round < 2; round++) {
    for (const resolver of resolvers) {
      const left = deadline - performance.now();
      if (left <= 0) break;
      const answer = await askOne(question, dnssecOk, resolver, Math.min(left, TRY_MS)).catch(() =>
        null
      );
      if (answer === null) continue;
      const code = rcodeOf(answer.flags);
      if (code !== Rcode.ServFail && code !== Rcode.Refused) return answer;
      worst ??= answer;
    }
    if (worst !== undefined) return worst;
  }
  throw new NoAnswer("no resolver answered");
}

async function askOne(
  question: Question,
  dnssecOk: boolean,
  resolver: Resolver,
  limitMs: number,
): Promise<Message> {
  const answer = await exchangeUdp(question, dnssecOk, resolver, limitMs);
  return (answer.flags & Flag.TC) === 0
    ? answer
    : await exchangeTcp(question, dnssecOk, resolver, limitMs);
}

/** A clean query: nothing of the guest's but the question travels on. */
function queryBytes(id: number, question: Question, dnssecOk: boolean): Uint8Array {
  return encodeMessage({
    id,
    flags: Flag.RD,
    questions: [question],
    answers: [],
    authorities: [],
    additionals: [],
    edns: { size: UDP_SIZE, dnssecOk, options: [] },
  });
}

/** The message if it answers this query (RFC 5452 9.1); anything else is a stranger's. */
function answerTo(bytes: Uint8Array, id: number, question: Question): Message | null {
  let message: Message;
  try {
    message = parseMessage(bytes);
  } catch {
    return null;
  }
  const [echo] = message.questions;
  const fits = message.id === id && (message.flags & Flag.QR) !== 0 &&
    message.questions.length === 1 &&
    echo !== undefined && echo.type === question.type && echo.class === question.class &&
    nameText(echo.name) === nameText(question.name);
  return fits ? message : null;
}

function exchangeUdp(
  question: Question,
  dnssecOk: boolean,
  { address, port }: Resolver,
  limitMs: number,
): Promise<Message> {
  const { promise, resolve, reject } = Promise.withResolvers<Message>();
  const id = randomInt(0x10000);
  const socket = createSocket(isIPv6(address) ? "udp6" : "udp4");
  const timer = setTimeout(() => reject(new NoAnswer("timeout")), limitMs);
  socket.on("error", reject);
  socket.on("message", (bytes) => {
    const message = answerTo(bytes, id, question);
    if (message !== null) resolve(message);
  });
  // Connected: the kernel keeps other senders' datagrams away and reports a closed port.
  socket.connect(port, address, () => socket.send(queryBytes(id, question, dnssecOk)));
  return promise.finally(() => {
    clearTimeout(timer);
    socket.close();
  });
}

function exchangeTcp(
  question: Question,
  dnssecOk: boolean,
  { address, port }: Resolver,
  limitMs: number,
): Promise<Message> {
  const { promise, resolve, reject } = Promise.withResolvers<Message>();
  const id = randomInt(0x10000);
  const query = queryBytes(id, question, dnssecOk);
  const socket = connect({ host: address, port, noDelay: true });
  const timer = setTimeout(() => reject(new NoAnswer("timeout")), limitMs);
  let held = new Uint8Array();
  socket.on("connect", () => socket.write(frameTcp(query)));
  socket.on("error", reject);
  socket.on("close", () => reject(new NoAnswer("closed")));
  socket.on("data", (bytes: Uint8Array) => {
    const { messages, rest } = splitTcp(held, bytes);
    held = rest;
    for (const bytes of messages) {
      const message = answerTo(bytes, id, question);
      if (message !== null) resolve(message);
    }
  });
  return promise.finally(() => {
    clearTimeout(timer);
    socket.destroy();
  });
}

/** A message as DNS over TCP frames it (RFC 1035 4.2.2). */
export function frameTcp(message: Uint8Array): Uint8Array {
  const frame = new Uint8Array(2 + message.length);
  new DataView(frame.buffer).setUint16(0, message.length);
  frame.set(message, 2);
  return frame;
}

/** The whole messages at the head of a TCP stream, and what is left of it. */
export function splitTcp(
  held: Uint8Array,
  bytes: Uint8Array,
): { messages: Uint8Array[]; rest: Uint8Array<ArrayBuffer> } {
  const data = new Uint8Array(held.length + bytes.length);
  data.set(held);
  data.set(bytes, held.length);
  const view = new DataView(data.buffer);
  const messages: Uint8Array[] = [];
  let at = 0;
  while (data.length - at >= 2) {
    const size = view.getUint16(at);
    if (data.length - at - 2 < size) break;
    messages.push(data.subarray(at + 2, at + 2 + size));
    at += 2 + size;
  }
  return { messages, rest: data.slice(at) };
}
