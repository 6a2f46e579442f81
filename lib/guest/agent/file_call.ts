/**
 * One thing that is done with a guest's files, as a call of whoever can.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import type { SbxError } from "../../base/errors.ts";
import { encodeOsString } from "../../base/os_string.ts";
import type { CallClient } from "../../wire/call_client.ts";
import { Kind, type Peer, Stream } from "../../wire/call_frame.ts";
import type { CallFailure, Fields } from "../../wire/call_result.ts";
import { callStreams, type SendFrame } from "../../wire/call_streams.ts";
import type { FileCall, FileRequest } from "../files.ts";

/** Who has files when he is called. */
export interface FileServer {
  readonly calls: Pick<CallClient, "open">;
  readonly peer: Peer;
  /** Why it could not be done, in his words. */
  readonly failure: (failure: CallFailure) => SbxError;
}

/** What the server takes for "give it up". */
const SIGTERM = 15;

/** Opens the call. `request`: see {@link fileRequest}. */
export function openFileCall(request: Fields, { calls, peer, failure }: FileServer): FileCall {
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

/** A request as servers take it: paths are bytes, in base64. */
export function fileRequest(request: FileRequest): Fields {
  return {
    ...request,
    path: base64(request.path),
    ...("to" in request ? { to: base64(request.to) } : {}),
    ...("target" in request ? { target: base64(request.target) } : {}),
  };
}

function base64(path: string): string {
  return Buffer.from(encodeOsString(path)).toString("base64");
}
