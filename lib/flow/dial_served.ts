/**
 * The server of a flow of TCP that sbx serves as it is: dialled, or the flow is over.
 *
 * @module
 */
import type { Socket } from "node:net";
import type { Clock } from "../base/clock.ts";
import type { FlowEnd } from "./control_message.ts";
import { endOfDial } from "./dial.ts";
import { dialUpstream } from "./dial_upstream.ts";
import type { FlowStream } from "./flow_stream.ts";
import type { ServedFlow } from "./flow_table.ts";

export interface ServedStreamSpec {
  readonly stream: FlowStream;
  readonly flow: ServedFlow;
  /** The server answered at this address. */
  readonly onDialled: (address: string) => void;
  /** How the flow ended; the first call tells. */
  readonly onEnd: (end: FlowEnd) => void;
  readonly clock?: Clock;
}

/** Null when there is no connection: the flow is told how it ended, and closed. Never rejects. */
export async function dialServed(
  { stream, flow, onDialled, onEnd, clock }: ServedStreamSpec,
): Promise<Socket | null> {
  const gone = new AbortController();
  stream.once("close", () => gone.abort());
  const { signal } = gone;
  const dialled = await dialUpstream({ flow, signal, ...(clock === undefined ? {} : { clock }) });
  if (dialled.kind === "failed") {
    onEnd(endOfDial(dialled.code));
    stream.destroy();
    return null;
  }
  onDialled(dialled.at);
  return dialled.socket;
}
