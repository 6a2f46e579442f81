/**
 * The parts of one call to the agent.
 *
 * @module
 */
import { SbxError } from "../../base/errors.ts";
import { ReadableEnd } from "../../wire/readable_end.ts";
import { WritableEnd } from "../../wire/writable_end.ts";
import { Kind, MAX_DATA, Stream, WINDOW } from "./frame.ts";
import type { AgentResult } from "./result.ts";

/** Receives the frames of one call. */
export interface CallSink {
  readonly input: WritableEnd;
  readonly outputs: CallOutputs;
  /** Called once, and nothing after it. */
  result(result: AgentResult): void;
  /** In place of `result`. */
  lost(error: SbxError): void;
}

export interface CallOutputs {
  readonly [Stream.Output]: ReadableEnd;
  readonly [Stream.Errors]: ReadableEnd;
}

/** Sends a frame of one call. */
export type SendFrame = (kind: Kind, stream: Stream, payload?: Uint8Array) => void;

/** The three streams of a call. */
export function callStreams(send: SendFrame): { input: WritableEnd; outputs: CallOutputs } {
  const input = new WritableEnd({
    window: WINDOW,
    maxPayload: MAX_DATA,
    data: (bytes) => send(Kind.Data, Stream.Input, bytes),
    end: () => send(Kind.Eof, Stream.Input),
    unread: () =>
      new SbxError("PIPE_CLOSED", "Cannot write to the command: it reads no more input"),
    violation,
  });
  const output = (stream: Stream) =>
    new ReadableEnd({
      window: WINDOW,
      maxRead: MAX_DATA,
      credit: (bytes) => send(Kind.Credit, stream, uint32(bytes)),
      stop: () => send(Kind.Stop, stream),
      violation,
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
  outputs[Stream.Output].finish();
  outputs[Stream.Errors].finish();
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

function violation(what: string): SbxError {
  return new SbxError("PROTOCOL", `Cannot follow the guest's agent: ${what}`);
}
