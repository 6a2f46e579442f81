/**
 * The parts of one call, as its client has them.
 *
 * @module
 */
import { SbxError } from "../base/errors.ts";
import { Kind, MAX_DATA, type Peer, Stream, uint32, violationOf, WINDOW } from "./call_frame.ts";
import type { CallResult } from "./call_result.ts";
import { ReadableEnd } from "./readable_end.ts";
import { WritableEnd } from "./writable_end.ts";

/** Receives the frames of one call. */
export interface CallSink {
  readonly input: WritableEnd;
  readonly outputs: CallOutputs;
  /** The command that was asked for was started. */
  begun?(): void;
  /** Called once, and nothing after it. */
  result(result: CallResult): void;
  /** In place of `result`. */
  lost(error: SbxError): void;
}

export interface CallOutputs {
  readonly [Stream.Output]: ReadableEnd;
  readonly [Stream.Errors]: ReadableEnd;
}

/** Sends a frame of one call. */
export type SendFrame = (kind: Kind, stream: Stream, payload?: Uint8Array) => void;

/** The three streams of a call to this peer. `abort`: the writer of the input gave up; absent, that is its end. */
export function callStreams(
  peer: Peer,
  send: SendFrame,
  abort?: () => void,
): { input: WritableEnd; outputs: CallOutputs } {
  const violation = violationOf(peer);
  const input = new WritableEnd({
    window: WINDOW,
    maxPayload: MAX_DATA,
    data: (bytes) => send(Kind.Data, Stream.Input, bytes),
    end: () => send(Kind.Eof, Stream.Input),
    ...(abort === undefined ? {} : { abort }),
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

/** After the result: whatever the server left open ends. */
export function endStreams({ input, outputs }: CallSink): void {
  input.stop();
  outputs[Stream.Output].finish();
  outputs[Stream.Errors].finish();
}

/** The call's server is gone. */
export function loseCall(sink: CallSink, error: SbxError): void {
  sink.input.stop();
  sink.outputs[Stream.Output].fail(error);
  sink.outputs[Stream.Errors].fail(error);
  sink.lost(error);
}
