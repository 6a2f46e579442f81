/**
 * Does for a client what it asks of the guest's files: its call joined to one of ours.
 *
 * @module
 */
import type { FileRequest } from "../guest/files.ts";
import type { FileOperation } from "../sandbox/file_operation.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import type { Fields } from "../wire/call_result.ts";
import type { ServedCall } from "../wire/call_server.ts";
import { wanted } from "./wanted.ts";

/** @throws SbxError as the calls of `SandboxFiles` */
export async function relayFiles(
  sandbox: Pick<Sandbox, "openFiles">,
  request: FileRequest,
  call: ServedCall,
): Promise<Fields> {
  const signal = wanted(call); // a client that is gone did not send all it wanted to
  const operation = sandbox.openFiles(request, signal);
  switch (request.method) {
    case "write":
    case "unpack":
      return await send(operation, call.input, signal);
    case "read":
    case "list":
    case "pack":
      await operation.stream().pipeTo(call.output, { preventAbort: true });
      return {};
    default:
      return await operation.answer();
  }
}

async function send(
  operation: FileOperation,
  input: ReadableStream<Uint8Array>,
  signal: AbortSignal,
): Promise<Fields> {
  const reader = input.getReader();
  const writer = operation.writer();
  const stop = () => void reader.cancel().catch(() => {});
  signal.addEventListener("abort", stop);
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      await writer.write(value);
    }
    if (signal.aborted) return await operation.answer(); // which rejects
    return await writer.close();
  } catch (error) {
    writer.giveUp();
    throw error;
  } finally {
    signal.removeEventListener("abort", stop);
    stop();
  }
}
