/**
 * Redirected flows to port 53, answered by the DNS service.
 *
 * @module
 */
import type { DnsService } from "../dns/service.ts";
import { frameTcp, splitTcp } from "../dns/upstream.ts";
import type { FlowStream } from "../flow/flow_stream.ts";
import type { RedirectedFlow } from "../flow/mux.ts";

/** RFC 7766 6.2.3 lets a server close idle connections; a stub asks again on a new one. */
const IDLE_MS = 30_000;

/** Connections at once; the guest's resolvers need one or two. */
const MAX_CONNECTIONS = 64;

/** Queries of one connection under way; further ones wait in the guest's window. */
const MAX_PIPELINED = 64;

export class DnsFlows {
  readonly #dns: DnsService;
  #connections = 0;

  constructor(dns: DnsService) {
    this.#dns = dns;
  }

  /** Serves one flow until it ends. */
  serve(flow: RedirectedFlow): void {
    if (flow.kind === "stream") return this.#serveTcp(flow.stream);
    const { datagrams } = flow;
    datagrams.onDatagram = (query) => {
      void this.#dns.answer(query.slice(), "udp").then((reply) => {
        if (reply !== null) datagrams.send(reply);
      });
    };
  }

  #serveTcp(stream: FlowStream): void {
    if (this.#connections >= MAX_CONNECTIONS) return void stream.destroy();
    this.#connections++;
    let held = new Uint8Array();
    let underWay = 0;
    let ended = false;
    const idle = setTimeout(() => stream.destroy(), IDLE_MS);
    const settled = () => {
      if (ended && underWay === 0) stream.end();
    };
    const answer = async (query: Uint8Array) => {
      if (++underWay >= MAX_PIPELINED) stream.pause();
      const reply = await this.#dns.answer(query, "tcp");
      underWay--;
      if (stream.destroyed) return;
      if (reply === null) return void stream.destroy(); // no message at all: the framing is broken
      stream.write(frameTcp(reply));
      stream.resume();
      settled();
    };
    stream.on("data", (bytes: Uint8Array) => {
      idle.refresh();
      const { messages, rest } = splitTcp(held, bytes);
      held = rest;
      for (const query of messages) void answer(query);
    });
    stream.on("end", () => {
      ended = true;
      settled();
    });
    stream.on("close", () => {
      this.#connections--;
      clearTimeout(idle);
    });
  }
}
