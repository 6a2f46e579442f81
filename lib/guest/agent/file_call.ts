/**
 * What is asked of a guest's files, as it travels.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { encodeOsString } from "../../base/os_string.ts";
import type { Fields } from "../../wire/call_result.ts";
import type { FileRequest } from "../files.ts";

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
