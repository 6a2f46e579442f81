/**
 * The flows that netstack hands over: each goes to whom its ruling named, and what comes of it to the
 * table and the recorder.
 *
 * @module
 */
import { setImmediate } from "node:timers";
import type { FlowEnd } from "../flow/control_message.ts";
import { relayDatagrams } from "../flow/datagram_relay.ts";
import type { FlowStream } from "../flow/flow_stream.ts";
import type { FlowTable, HandedFlow, InterceptedFlow, ServedFlow } from "../flow/flow_table.ts";
import type { ServerFacts } from "../flow/intercept.ts";
import type { DatagramFlow, RedirectedFlow } from "../flow/mux.ts";
import { servePlainHttp } from "../flow/plain_http.ts";
import type { Exchange, JudgeRequest, Refusal } from "../http/exchange.ts";
import { judging, type RequestGate } from "../http/gate.ts";
import type { Recorder } from "../journal/recorder.ts";
import { partyOf } from "../judge/flow_info.ts";
import { judgePlainRequest, judgeRequest } from "../judge/request.ts";
import type { Snapshot } from "../judge/snapshot.ts";
import { tunnelReader } from "../judge/tunnel.ts";
import type { DnsFlows } from "./dns_flows.ts";
import { Gathered } from "./gathered.ts";
import type { Interceptor } from "./interceptor.ts";
import type { RelayedSession, SecretGates } from "./secret_gates.ts";
import type { Admit } from "./violations.ts";

/** Flows of plain HTTP that are relayed at the same time; each may hold some hundred kilobytes. */
const MAX_RELAYED = 2_048;

/** A stream that passes without being opened. */
type PassedStream = HandedFlow & { readonly serve: "http" | "proxy" };

export interface HandedFlowsSpec {
  /** The one in force; asked anew for every request. */
  readonly snapshot: () => Snapshot;
  readonly table: FlowTable;
  readonly recorder: Pick<Recorder, "request">;
  readonly dns: Pick<DnsFlows, "serve">;
  /** Undefined where nothing is intercepted. */
  readonly interceptor: Interceptor | undefined;
  /** Undefined where there are no secrets. */
  readonly secretGates: SecretGates | undefined;
  /** There was no room for so many. */
  readonly onLimit: (what: "relayed" | "intercepted", count: number) => void;
}

export class HandedFlows {
  readonly #spec: HandedFlowsSpec;
  readonly #notRelayed: Gathered;
  #relayed = 0;

  constructor(spec: HandedFlowsSpec) {
    this.#spec = spec;
    this.#notRelayed = new Gathered((count) => spec.onLimit("relayed", count));
  }

  /** Serves the flow until it ends. One that has lost its verdict on the way here goes nowhere. */
  serve(redirected: RedirectedFlow): void {
    const { table, dns } = this.#spec;
    const { id, info } = redirected;
    const handed = table.handed(id, info);
    if (handed?.serve === "dns") return dns.serve(redirected);
    if (redirected.kind !== "stream") {
      if (handed?.serve !== "datagrams") return redirected.datagrams.end();
      return this.#relayDatagrams(redirected.datagrams, id, handed.flow);
    }
    const { stream } = redirected;
    stream.once("close", () => setImmediate(() => table.ended(id)));
    if (handed?.serve === "http" || handed?.serve === "proxy") {
      return this.#relay(stream, id, handed);
    }
    if (handed?.serve === "interception") return this.#intercept(stream, id, handed.flow);
    stream.destroy();
  }

  /** Tells of what was not told yet. */
  close(): void {
    this.#notRelayed.tell();
  }

  #intercept(stream: FlowStream, id: number, flow: InterceptedFlow): void {
    const { interceptor, table, recorder, snapshot, onLimit } = this.#spec;
    if (interceptor === undefined) return void stream.destroy();
    const relayed = { id, info: flow.info, scheme: "https" } as const;
    // By these the session is made, even when the policy changes while its server is dialled.
    const { generation, tls } = snapshot();
    const { authorities = [], opaque = false } = tls ?? {};
    const opened = {
      stream,
      flow,
      id,
      onDialled: (address: string) => table.dialled(id, address),
      onRefused: (why: Refusal) => table.refuse(id, why),
      onEnd: (end: FlowEnd) => table.ended(id, end),
      gateFor: (server: ServerFacts) => {
        const { open, verified } = server;
        if (open) table.proved(id, { verified, authorities, opaque }, generation);
        return this.#gate(
          { ...server, id, info: flow.info, sni: flow.hello.sni },
          (request) => judgeRequest(snapshot(), flow, request),
        );
      },
      onExchange: (exchange: Exchange) => recorder.request(relayed, exchange),
      admit: this.#admit("stream", id, flow, flow.hello.sni),
    };
    interceptor.serve(opened, (count) => onLimit("intercepted", count));
  }

  /** Plain HTTP under rules about names: to servers, and to proxies. */
  #relay(stream: FlowStream, id: number, { serve, flow }: PassedStream): void {
    const { table, recorder, snapshot } = this.#spec;
    if (this.#relayed >= MAX_RELAYED) {
      stream.destroy();
      return this.#notRelayed.add();
    }
    this.#relayed++;
    const relayed = { id, info: flow.info, scheme: "http" } as const;
    stream.once("close", () => this.#relayed--);
    const common = {
      stream,
      flow,
      onDialled: (address: string) => table.dialled(id, address),
      onEnd: (end: FlowEnd) => table.ended(id, end),
    };
    const judge: JudgeRequest = (request) => judgePlainRequest(snapshot(), flow.info, request);
    const onExchange = (exchange: Exchange) => recorder.request(relayed, exchange);
    if (serve === "proxy") {
      // No secret is for a proxy, whomever its requests name.
      const proxied = {
        admit: this.#admit("stream", id, flow),
        tunnel: () => tunnelReader(snapshot, flow.info, (name) => table.requested(id, name)),
      };
      const gate = judging(this.#noting(id, judge));
      return void servePlainHttp({ ...common, id, gate, proxied, onExchange });
    }
    const session = { id, info: flow.info, open: true, verified: false, sni: null };
    void servePlainHttp({ ...common, id, gate: this.#gate(session, judge), onExchange });
  }

  #relayDatagrams(datagrams: DatagramFlow, id: number, flow: ServedFlow): void {
    const { table } = this.#spec;
    relayDatagrams({
      datagrams,
      flow,
      admit: this.#admit("datagrams", id, flow),
      onDialled: (address) => table.dialled(id, address),
      onEnd: (end) => table.ended(id, end),
    });
  }

  #gate(session: RelayedSession, judge: JudgeRequest): RequestGate {
    const noting = this.#noting(session.id, judge);
    return this.#spec.secretGates?.gateFor(session, noting) ?? judging(noting);
  }

  /** A connection goes on only while everything that passed on it would pass, so its hosts are kept. */
  #noting(id: number, judge: JudgeRequest): JudgeRequest {
    return (request) => {
      const refusal = judge(request);
      if (refusal === null) this.#spec.table.requested(id, request.host);
      return refusal;
    };
  }

  /** What is asked of the bytes of a guest that are only passed on. */
  #admit(
    what: "datagrams" | "stream",
    id: number,
    { info, ruling }: ServedFlow,
    host: string | null = null,
  ): Admit {
    return this.#spec.secretGates?.[what](id, partyOf(info, ruling.name), host) ?? (() => true);
  }
}
