/**
 * The session inside an intercepted flow: what the guest offers, and what its server can prove. Pure.
 *
 * @module
 */
import type { Refusal } from "../policy/model/policy.ts";
import type { ClientHello } from "../tls/client_hello.ts";
import type { Interception } from "../tls/interception.ts";
import { Alert, type AlertCode, readOffer } from "../tls/session/offer.ts";
import type { UpstreamFailure } from "../tls/session/upstream_failure.ts";

/** Null where there is something that sbx may relay. */
export function judgeOffer({ opaque }: Interception, hello: ClientHello): Refusal | null {
  const offer = readOffer(hello, opaque);
  return "alert" in offer ? offerRefusal(offer.alert) : null;
}

/** The guest offers nothing that sbx relays; `alert` says what is missing. */
export function offerRefusal(alert: AlertCode): Refusal {
  return alert === Alert.NoApplicationProtocol
    ? { reason: "tls-protocol", detail: "no protocol that the guest offers is relayed" }
    : {
      reason: "upstream-tls",
      detail: "the guest offers neither TLS 1.2 nor 1.3 as sbx speaks them",
    };
}

/** There is no session with the server. */
export function serverRefusal(failure: UpstreamFailure): Refusal {
  switch (failure.kind) {
    case "unreachable":
      return { reason: "upstream-closed", detail: failure.code };
    case "untrusted":
      return { reason: "upstream-untrusted", detail: failure.why };
    case "mtls":
      return { reason: "mtls" };
    case "handshake":
      return { reason: "upstream-tls", detail: failure.why };
  }
}

/** What is wrong with a server, as a simulation knows it. */
export type SimulatedServer =
  /** `provenBy`: the file with a certificate that would prove its name, if any would. */
  | { readonly kind: "untrusted"; readonly why: string; readonly provenBy?: string }
  | { readonly kind: "mtls" };

/** Whether it counts under these settings; `host` is what the server has to prove. */
export function judgeServer(
  { unverified, authorities }: Interception,
  host: string,
  server: SimulatedServer,
): Refusal | null {
  if (server.kind === "mtls") return { reason: "mtls" };
  const { why, provenBy } = server;
  const isProven = provenBy !== undefined && authorities.includes(provenBy);
  const isExempt = unverified === "all" || unverified.has(host);
  return isProven || isExempt ? null : { reason: "upstream-untrusted", detail: why };
}
