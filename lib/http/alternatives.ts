/**
 * Alternative services (RFC 7838): where else, and by which protocol, a server says that it can be had.
 * A client that believes it leaves the connection that is judged and opened here for QUIC, or for a
 * port on which nothing is, and remembers that for months.
 *
 * Nothing is lost but speed when they are left out: the origin itself has to work without them (2.4).
 * So all are, also those that would lead to an intercepted port: which ports are may change before
 * the client forgets, in the next sandbox if its cache is in a mount. `clear` makes it forget, and
 * stays. HTTP/2 has frames that say the same (ALTSVC, and ORIGIN of RFC 8336); like all that are
 * unknown here, they are not passed on.
 *
 * @module
 */
import type { Field } from "./fields.ts";

/** The fields of an answer without those that name alternatives; the very same where there are none. */
export function withoutAlternatives(fields: readonly Field[]): readonly Field[] {
  return fields.every(namesNone) ? fields : fields.filter(namesNone);
}

function namesNone({ key, value }: Field): boolean {
  return key === "alt-svc" ? value === CLEAR : key !== BEFORE_RFC_7838;
}

/** Case-sensitive (RFC 7838 3). */
const CLEAR = "clear";

/** `Alternate-Protocol: 443:quic`, which clients of its time believe without any certificate. */
const BEFORE_RFC_7838 = "alternate-protocol";
