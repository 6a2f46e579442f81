/**
 * A client's connection to a server in the guest: its call joined to one of ours.
 *
 * @module
 */
import type { Sandbox } from "../sandbox/sandbox.ts";
import type { Fields } from "../wire/call_result.ts";
import type { ServedCall } from "../wire/call_server.ts";
import { wanted } from "./wanted.ts";

/** @throws SbxError as `Sandbox.connect` */
export async function relayConnection(
  sandbox: Pick<Sandbox, "connect">,
  port: number,
  call: ServedCall,
): Promise<Fields> {
  const { readable, writable, closed } = sandbox.connect(port, { signal: wanted(call) });
  // Of either direction's failure `closed` says more. The answer ends what is open, so it waits for the output.
  void call.input.pipeTo(writable).catch(() => {});
  await readable.pipeTo(call.output, { preventAbort: true }).catch(() => {});
  await closed;
  return {};
}
