/**
 * How long the answer of a call is wanted.
 *
 * @module
 */
import type { ServedCall } from "../wire/call_server.ts";

/** Aborted when the caller is gone, or gives the call up. Takes the place of who hears its signals. */
export function wanted(call: ServedCall): AbortSignal {
  const enough = new AbortController();
  call.onSignal = () => enough.abort();
  return AbortSignal.any([call.gone, enough.signal]);
}
