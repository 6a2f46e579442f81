/**
 * Flows to port 53, which every verdict redirects here, joined to the DNS service. Whatever resolver
 * the guest meant to ask, the answer is ours.
 *
 * @module
 */
import type { DnsService } from "../dns/service.ts";
import type { Upstream } from "../dns/upstream.ts";
import { TcpSessions } from "../dns/tcp_sessions.ts";
import type { RedirectedFlow } from "../flow/mux.ts";

export class DnsFlows {
  readonly #dns: DnsService;
  readonly #sessions = new TcpSessions();

  constructor(dns: DnsService) {
    this.#dns = dns;
  }

  /** Serves one flow until it ends. */
  serve(flow: RedirectedFlow): void {
    const asked = flow.info.dst;
    if (flow.kind === "stream") {
      return this.#sessions.serve(flow.stream, (query) => this.#dns.answer(query, "tcp", asked));
    }
    const { datagrams } = flow;
    datagrams.onDatagram = (query) => {
      void this.#dns.answer(new Uint8Array(query), "udp", asked).then((reply) => {
        if (reply !== null) datagrams.send(reply);
      });
    };
  }

  askElsewhere(upstream: Upstream): void {
    this.#dns.askElsewhere(upstream);
  }

  close(): void {
    this.#sessions.close();
    this.#dns.close();
  }
}
