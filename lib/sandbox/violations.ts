/**
 * Placeholders of secrets that go astray on one network: who looks for them in what sbx only passes on,
 * and what is done about those that are found, by whomever.
 *
 * @module
 */
import { SbxError } from "../base/errors.ts";
import { escapeText } from "../base/escape.ts";
import { type Denial, Denials } from "../journal/denials.ts";
import type { Refusal } from "../policy/model/policy.ts";
import { reasonOf } from "../policy/model/reasons.ts";
import type { ViolationAction } from "../policy/model/secret.ts";
import type { Route, SecretUse, SecretViolation } from "../secret/report.ts";
import { describeSightings, sortSightings } from "../secret/violation.ts";
import type { Vault } from "../secret/vault.ts";

export interface ViolationSink {
  /** Writes it down, with what is done about it. */
  readonly onViolation: (violation: SecretViolation, action: ViolationAction) => void;
  readonly onDenial: (denial: Denial) => void;
  /** Cuts everything at once, and ends the sandbox. */
  readonly terminate: (error: SbxError) => void;
  /** The flow goes no further. */
  readonly refuse: (flow: number, why: Refusal) => void;
  readonly onUse: (flow: number, use: SecretUse) => void;
}

/** Whether bytes of a guest may pass. */
export type Admit = (bytes: Uint8Array) => boolean;

const WHAT: { readonly [R in Route]: string } = {
  request: "a request to",
  tunnel: "what followed an upgrade, to",
  "tls-name": "a TLS handshake with",
  stream: "a TCP stream to",
  datagram: "a datagram to",
  dns: "a question for",
};

/** As much of a vault as is needed here, which is no value. */
type Placeholders = Pick<Vault, "kept" | "onViolation" | "tripwire">;

export class Violations {
  readonly #vault: Placeholders;
  readonly #sink: ViolationSink;
  readonly #told: Denials;
  #terminated = false;

  constructor(vault: Placeholders, sink: ViolationSink) {
    this.#vault = vault;
    this.#sink = sink;
    this.#told = new Denials(sink.onDenial);
  }

  /** The one place that acts on a violation. What becomes of its flow is its finder's to do, before. */
  take(violation: SecretViolation): void {
    const { onViolation } = this.#vault;
    this.#sink.onViolation(violation, onViolation);
    if (onViolation === "block-and-log") this.#tell(violation);
    if (onViolation !== "block-and-terminate" || this.#terminated) return;
    this.#terminated = true;
    this.#sink.terminate(
      new SbxError("SECRET_VIOLATION", `Cannot go on: the guest sent ${carrier(violation)}`, {
        hint: "with --on-secret-violation block only what carries a placeholder is stopped",
      }),
    );
  }

  /** Looks at each datagram of a flow. It belongs to no name, so that no placeholder belongs into it. */
  datagrams(flow: number, to: string): Admit {
    return (bytes) => {
      const sightings = this.#vault.tripwire.scan(bytes);
      if (sightings.length === 0) return true;
      this.#stop({ sightings, route: "datagram", flow, to });
      return false;
    };
  }

  /** Looks at a stream of which nothing else is read, inside TLS to a host; null: it stated no name. */
  stream(flow: number, to: string, host: string | null): Admit {
    const { tripwire, kept } = this.#vault;
    const watch = tripwire.watch();
    return (bytes) => {
      const { violations, inert } = sortSightings(watch.push(bytes), kept, host);
      for (const { name } of inert) {
        const use = {
          name,
          host: host ?? to,
          what: "inert",
          place: "elsewhere",
          count: 1,
        } as const;
        this.#sink.onUse(flow, use);
      }
      if (violations.length === 0) return true;
      this.#stop({ sightings: violations, route: "stream", flow, to });
      return false;
    };
  }

  close(): void {
    this.#told.close();
  }

  #stop(violation: SecretViolation & { readonly flow: number }): void {
    const detail = describeSightings(violation.sightings);
    this.#sink.refuse(violation.flow, { reason: "secret-violation", detail });
    this.take(violation);
  }

  #tell(violation: SecretViolation): void {
    const reason = "secret-violation";
    const because = `${reason}, ${reasonOf(reason).clause}`;
    this.#told.note({ target: carrier(violation), reason, because });
  }
}

/** `a datagram to evil.test with the placeholder of API_KEY in base64`. */
function carrier({ sightings, route, to }: SecretViolation): string {
  const placeholder = describeSightings(sightings);
  return `${WHAT[route]} ${escapeText(to)} with the placeholder of ${placeholder}`;
}
