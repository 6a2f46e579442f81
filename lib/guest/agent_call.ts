/**
 * The parts of one call to the agent.
 *
 * @module
 */
import type { SbxError } from "../base/errors.ts";
import { Kind, Stream } from "./agent_frame.ts";
import { Inflow } from "./agent_inflow.ts";
import { Outflow } from "./agent_outflow.ts";
import type { AgentResult } from "./agent_result.ts";

/** Receives the frames of one call. */
export interface CallSink {
  readonly input: Outflow;
  readonly outputs: CallOutputs;
  /** Called once, and nothing after it. */
  result(result: AgentResult): void;
  /** In place of `result`. */
  lost(error: SbxError): void;
}

export interface CallOutputs {
  readonly [Stream.Output]: Inflow;
  readonly [Stream.Errors]: Inflow;
}

/** Sends a frame of one call. */
export type SendFrame = (kind: Kind, stream: Stream, payload?: Uint8Array) => void;

/** The three streams of a call. */
export function callStreams(send: SendFrame): { input: Outflow; outputs: CallOutputs } {
  const input = new Outflow({
    data: (bytes) => send(Kind.Data, Stream.Input, bytes),
    end: () => send(Kind.Eof, Stream.Input),
  });
  const output = (stream: Stream) =>
    new Inflow({
      credit: (bytes) => send(Kind.Credit, stream, uint32(bytes)),
      stop: () => send(Kind.Stop, stream),
    });
  return {
    input,
    outputs: {
      [Stream.Output]: output(Stream.Output),
      [Stream.Errors]: output(Stream.Errors),
    },
  };
}

/** After the result: whatever the agent left open ends. */
export function endStreams({ input, outputs }: CallSink): void {
  input.stop();
  outputs[Stream.Output].end();
  outputs[Stream.Errors].end();
}

/** The call's agent is gone. */
export function loseCall(sink: CallSink, error: SbxError): void {
  sink.input.stop();
  sink.outputs[Stream.Output].fail(error);
  sink.outputs[Stream.Errors].fail(error);
  sink.lost(error);
}

function uint32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}
