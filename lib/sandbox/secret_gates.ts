/**
 * The gates of a sandbox with secrets, one for each connection that sbx relays, and what people are told
 * of what passes them. Nothing of this is loaded where there are no secrets.
 *
 * @module
 */
import { escapeText } from "../base/escape.ts";
import { secretGate } from "../gate/secret_gate.ts";
import type { JudgeRequest } from "../http/exchange.ts";
import type { RequestGate } from "../http/gate.ts";
import type { FlowInfo } from "../judge/flow_info.ts";
import type { PinTable } from "../policy/model/policy.ts";
import type { SecretUse, SecretViolation } from "../secret/report.ts";
import type { Vault } from "../secret/vault.ts";
import type { Interception } from "../tls/interception.ts";
import { Violations, type ViolationSink } from "./violations.ts";

/** One connection whose requests are relayed. */
export interface RelayedSession {
  /** The flow's number. */
  readonly id: number;
  readonly info: FlowInfo;
  /** There is a server. */
  readonly open: boolean;
  /** It proved its name in TLS. */
  readonly verified: boolean;
  /** The name of the TLS session, canonical; null: none. */
  readonly sni: string | null;
}

export interface SecretSink extends ViolationSink {
  readonly pins: PinTable;
  /** The one in force. */
  readonly interception: () => Interception | null;
  readonly onNotice: (line: string) => void;
}

export interface SecretGates {
  readonly gateFor: (session: RelayedSession, judge: JudgeRequest) => RequestGate;
  /** Does what is to be done about a placeholder that went astray. */
  readonly violated: (violation: SecretViolation) => void;
  readonly datagrams: Violations["datagrams"];
  readonly stream: Violations["stream"];
  /** Nobody is told of anything any more. */
  readonly close: () => void;
}

export function secretGates(vault: Vault, sink: SecretSink): SecretGates {
  const { pins, interception } = sink;
  const notices = new Notices(sink.onNotice);
  const onUse = (id: number, use: SecretUse) => {
    sink.onUse(id, use);
    if (use.what === "inert") notices.inert(use);
  };
  const violations = new Violations(vault, { ...sink, onUse });
  return {
    violated: (violation) => violations.take(violation),
    datagrams: (id, to) => violations.datagrams(id, to),
    stream: (id, to, host) => violations.stream(id, to, host),
    close: () => violations.close(),
    gateFor: ({ id, info, open, verified, sni }, judge) =>
      secretGate({
        judge,
        vault,
        session: {
          open,
          verified: verified && sni !== null && mustProve(interception(), sni),
          sni,
          isPinned: (name) => pins.has(name, info.dst),
        },
        onUse: (use) => onUse(id, use),
        onViolation: (violation) => violations.take({ ...violation, flow: id }),
      }),
  };
}

/** The dialer goes by the same settings; a server that nobody had to prove anything to gets no value. */
function mustProve(interception: Interception | null, sni: string): boolean {
  if (interception === null) return false;
  const { unverified } = interception;
  return unverified !== "all" && !unverified.has(sni);
}

/** A guest chooses how often; each is told once, and so many in all. */
const MOST_NOTICES = 100;

class Notices {
  readonly #tell: (line: string) => void;
  readonly #told = new Set<string>();

  constructor(tell: (line: string) => void) {
    this.#tell = tell;
  }

  inert({ name, host, place }: SecretUse): void {
    const where = place === "elsewhere" ? "a place" : `the ${place}`;
    this.#once(
      `secret ${name}: ${
        escapeText(host)
      } was sent the placeholder, in ${where} where the value does not go`,
    );
  }

  #once(line: string): void {
    if (this.#told.has(line) || this.#told.size >= MOST_NOTICES) return;
    this.#told.add(line);
    this.#tell(line);
  }
}
