/**
 * One call with a stream in each direction, as whoever made it has it.
 *
 * @module
 */
import type { SbxError } from "../base/errors.ts";
import type { CallClient } from "./call_client.ts";
import { Kind, type Peer, Stream } from "./call_frame.ts";
import type { CallFailure, Fields } from "./call_result.ts";
import { callStreams, type SendFrame } from "./call_streams.ts";

/** A call under way. */
export interface OpenCall {
  /**
   * What the call takes. Aborting it gives the call up. A write that the server takes no more of rejects
   * with PIPE_CLOSED, and `done` with the reason.
   */
  readonly input: WritableStream<Uint8Array>;
  /** What it sends. It fails where the call fails. */
  readonly output: ReadableStream<Uint8Array>;
  /** What the server answers, unchecked. Rejects with an SbxError. */
  readonly done: Promise<Fields>;
  /** What came of the input is not to become anything. */
  giveUp(): void;
}

/** Who answers when he is called. */
export interface CallServer {
  readonly calls: Pick<CallClient, "open">;
  readonly peer: Peer;
  /** Why it could not be done, in his words. */
  readonly failure: (failure: CallFailure) => SbxError;
}

/** Servers of such calls, the guest's agent among them, take any signal for "give it up". */
const SIGTERM = 15;

export function openCall(request: Fields, { calls, peer, failure }: CallServer): OpenCall {
  const settled = Promise.withResolvers<Fields>();
  settled.promise.catch(() => {}); // whoever uses the streams has the error from there
  const sendLater: SendFrame = (...frame) => send(...frame);
  const giveUp = () => send(Kind.Signal, Stream.Input, Uint8Array.of(SIGTERM));
  const { input, outputs } = callStreams(peer, sendLater, giveUp);
  const send: SendFrame = calls.open(request, {
    input,
    outputs,
    lost: settled.reject,
    result(result) {
      if ("ok" in result) return settled.resolve(result.ok);
      const error = failure(result.failure);
      outputs[Stream.Output].fail(error);
      settled.reject(error);
    },
  });
  return {
    input: input.stream,
    output: outputs[Stream.Output].stream,
    done: settled.promise,
    giveUp,
  };
}
