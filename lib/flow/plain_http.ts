/**
 * One flow of plain HTTP under rules about names: every request on it is judged by the host that it
 * states, because the server at a judged address may have others.
 *
 * ```
 * DIALLING ──► RELAYING ──► over
 *     └─ refused, silent ─► reset
 * ```
 *
 * @module
 */
import { connect, type Socket } from "node:net";
import { type Clock, systemClock } from "../base/clock.ts";
import { endOfDial, parseAddressPort } from "./dial.ts";
import { formatEndpoint } from "../base/address.ts";
import type { Exchange, JudgeRequest } from "../http/exchange.ts";
import type { FlowEnd } from "./control_message.ts";
import type { FlowStream } from "./flow_stream.ts";
import type { PlainHttpFlow } from "./flow_table.ts";

export interface PlainHttpSpec {
  readonly stream: FlowStream;
  readonly flow: PlainHttpFlow;
  /** The server answered at this address. */
  readonly onDialled: (address: string) => void;
  readonly judge: JudgeRequest;
  readonly onExchange: (exchange: Exchange) => void;
  /** How the flow ended; the first call tells. */
  readonly onEnd: (end: FlowEnd) => void;
  readonly clock?: Clock;
}

/** As long as netstack gives a dial of its own. */
const CONNECT_MS = 15_000;

/** Serves the flow until it ends; never rejects. */
export async function servePlainHttp(spec: PlainHttpSpec): Promise<void> {
  const { stream, flow: { info, ruling }, judge, onExchange, onEnd } = spec;
  const to = ruling.dial ?? formatEndpoint(info.dst, info.dport);
  const { address, port } = parseAddressPort(to);
  const upstream = await dial(spec, address, port);
  if (upstream === null) return void stream.destroy();
  spec.onDialled(to);
  // Policies without rules about names never get here, and need not load it.
  const { relay } = await import("../http/relay.ts");
  await relay({
    guest: stream,
    upstream: { kind: "open", stream: upstream },
    protocol: "http/1.1",
    destination: { host: null, port: info.dport },
    judge,
    onExchange,
    onEnd,
  });
}

/** Null when the server cannot be reached, or the guest left first. */
function dial({ stream, onEnd, clock = systemClock }: PlainHttpSpec, host: string, port: number) {
  const { promise, resolve } = Promise.withResolvers<Socket | null>();
  const socket = connect({ host, port, noDelay: true, allowHalfOpen: true });
  const fail = (code: string) => {
    onEnd(endOfDial(code));
    resolve(null);
    socket.destroy();
  };
  const left = () => fail("ECANCELED");
  const disarm = clock.after(CONNECT_MS, () => fail("ETIMEDOUT"));
  stream.once("close", left);
  const broke = (error: NodeJS.ErrnoException) => fail(error.code ?? "");
  socket.once("error", broke);
  socket.once("connect", () => {
    // From here on the relay sees the socket close.
    socket.off("error", broke).on("error", () => {});
    resolve(socket);
  });
  return promise.finally(() => {
    disarm();
    stream.off("close", left);
  });
}
