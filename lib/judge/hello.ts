/**
 * A ClientHello that is nothing else. Pure.
 *
 * Most of a hello is its client's to choose: ids, extensions that nobody knows. A server of plain HTTP reads
 * all that comes before the first space for a method, and of those that were tried Java's own, Python's own
 * and cheroot take one of any bytes. So a hello for one name can be a request to another.
 *
 * @module
 */
import { type HelloParse, parseClientHello } from "../tls/client_hello.ts";
import { HostField, isBlank, VersionPrefix } from "./request_reader.ts";

/** As `parseClientHello`; a hello that holds what makes a request of it is invalid. */
export function readHello(bytes: Uint8Array): HelloParse {
  const parsed = parseClientHello(bytes);
  return parsed.kind === "hello" && holdsRequest(bytes)
    ? { kind: "invalid", why: "a request inside the hello" }
    : parsed;
}

/**
 * Whether there is a version behind a blank, or a field named Host at the beginning of a line: one ends a
 * request's line, and without one nothing but the other names a host. `http/1.1` among the protocols of a hello
 * stands behind its length.
 */
function holdsRequest(bytes: Uint8Array): boolean {
  const host = new HostField("inside");
  const version = new VersionPrefix();
  let isAfterBlank = false;
  for (const byte of bytes) {
    if (host.step(byte) === "named") return true;
    if (isAfterBlank || version.isBegun) version.step(byte);
    if (version.isWhole) return true;
    isAfterBlank = isBlank(byte);
  }
  return false;
}
