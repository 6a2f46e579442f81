/**
 * The one place where sbx itself connects to the server of a guest's flow: for plain HTTP under rules
 * about names, and for what is intercepted.
 *
 * ```
 * guarded? ──► CONNECTING ──► open
 *    └─────────────┴─ refused, silent, given up ─► failed
 * ```
 *
 * netstack has asked the kernel about the judged address when it handed the flow over, and refuses to
 * hand over what it would not dial itself; between that and the connect here lie some milliseconds, in
 * which the host may get a new address. So a connection in which this machine turns out to speak to
 * itself is reset before it has carried a byte. The blocks that are never dialled are refused here
 * once more, whatever netstack thought.
 *
 * @module
 */
import { connect, type Socket } from "node:net";
import { type Clock, systemClock } from "../base/clock.ts";
import type { FlowInfo } from "../judge/flow_info.ts";
import type { Ruling } from "../judge/ruling.ts";
import { dialTarget, GUARD_CODE } from "./dial.ts";

export type Connection =
  | { readonly kind: "open"; readonly socket: Socket; readonly at: string }
  /** `code` is the system's, or `GUARD_CODE`. */
  | { readonly kind: "failed"; readonly code: string };

export interface DialUpstreamSpec {
  readonly flow: { readonly info: FlowInfo; readonly ruling: Ruling };
  /** The guest left. */
  readonly signal: AbortSignal;
  readonly clock?: Clock;
}

/** As long as netstack gives a dial of its own. */
const CONNECT_MS = 15_000;

/**
 * Whether an idle server is still there is asked as netstack asks for the flows that it moves itself.
 * Nothing else ends a relayed connection for being idle.
 */
const KEEP_ALIVE = { keepAlive: true, keepAliveInitialDelay: 60_000 } as const;

/** Never rejects. Errors of an open socket are its close. */
export function dialUpstream(
  { flow, signal, clock = systemClock }: DialUpstreamSpec,
): Promise<Connection> {
  const { promise, resolve } = Promise.withResolvers<Connection>();
  const failed = (code: string) => resolve({ kind: "failed", code });
  const target = dialTarget(flow);
  if (target === null) return Promise.resolve({ kind: "failed", code: GUARD_CODE });
  if (signal.aborted) return Promise.resolve({ kind: "failed", code: "ECANCELED" });
  const { address, port, at, implicit } = target;
  // Small frames of HTTP/2 would wait 40 ms for each other's acknowledgement.
  const options = { noDelay: true, allowHalfOpen: true, ...KEEP_ALIVE };
  const socket = connect({ host: address, port, ...options });
  const fail = (code: string) => {
    failed(code);
    socket.destroy();
  };
  const left = () => fail("ECANCELED");
  const disarm = clock.after(CONNECT_MS, () => fail("ETIMEDOUT"));
  signal.addEventListener("abort", left);
  socket.on("error", (error: NodeJS.ErrnoException) => fail(error.code ?? ""));
  socket.once("connect", () => {
    if (implicit && socket.localAddress === socket.remoteAddress) {
      failed(GUARD_CODE);
      return void socket.resetAndDestroy();
    }
    resolve({ kind: "open", socket, at });
  });
  return promise.finally(() => {
    disarm();
    signal.removeEventListener("abort", left);
  });
}
