/**
 * The gate of a sandbox with secrets: judges a request, looks for placeholders on their way to foreign
 * hosts, and puts values in where a grant says so. What is refused or stopped asks for no value.
 *
 * ```
 * judge ─► tripwire ─► exclusive ─► vault ─► grants ─► head, body, signature, answer
 *   │         │            │          └─ a source failed: refused
 *   │         │            └─ a credential of the guest's own: refused
 *   │         └─ a placeholder towards a foreign host: reset
 *   └─ refused
 * ```
 *
 * All of it is asked again for each request: a connection carries no trust from one to the next.
 *
 * @module
 */
import type { JudgeRequest, Refusal, RequestLine } from "../http/exchange.ts";
import { PASS, type RequestGate, type Verdict } from "../http/gate.ts";
import { type HttpRequest, lineOf } from "../http/request.ts";
import { pairsOf, withoutPairs } from "../secret/aws/sign_again.ts";
import { foreignInTarget } from "../secret/exclusive.ts";
import { type Grant, grantsOf, type HeldSecret } from "../secret/grant.ts";
import type { SecretUse, SecretViolation } from "../secret/report.ts";
import { substituteHead } from "../secret/substitute_head.ts";
import type { Vault } from "../secret/vault.ts";
import { answerGate } from "./answer_gate.ts";
import { Findings } from "./findings.ts";
import { type HostSecrets, SecretsByHost } from "./host_secrets.ts";
import { Lookout, type Seen } from "./lookout.ts";
import { overridesOf } from "./overrides.ts";
import { withoutExtensions } from "./readable.ts";
import { type BodyPlan, planBody } from "./request_body.ts";
import type { GateSession } from "./session.ts";
import { besidesPair, signRequest, withoutOwnSignature } from "./signed_request.ts";
import { tunnel } from "./tunnel.ts";
import { usesOf } from "./uses.ts";

export interface SecretGateSpec {
  readonly judge: JudgeRequest;
  readonly vault: Vault;
  readonly session: GateSession;
  /** What a request did with secrets of its host: of its head when that goes on, of its body at its end. */
  readonly onUse: (use: SecretUse) => void;
  /** A placeholder was on its way to where it does not belong, and goes no further. */
  readonly onViolation: (violation: SecretViolation) => void;
}

export function secretGate(spec: SecretGateSpec): RequestGate {
  const byHost = new SecretsByHost(spec.vault);
  const findings = new Findings(spec.vault);
  return (request) =>
    new Passage(spec, request, byHost.of(request.authority.host), findings).verdict();
}

/** One request. */
class Passage {
  readonly #spec: SecretGateSpec;
  readonly #request: HttpRequest;
  readonly #line: RequestLine;
  readonly #own: HostSecrets;
  readonly #findings: Findings;
  readonly #lookout: Lookout;

  constructor(spec: SecretGateSpec, request: HttpRequest, own: HostSecrets, findings: Findings) {
    const { vault, session, onViolation } = spec;
    const { host } = own;
    this.#spec = spec;
    this.#request = request;
    this.#line = lineOf(request);
    this.#own = own;
    this.#findings = findings;
    this.#lookout = new Lookout({
      vault,
      to: host,
      isPinned: session.isPinned(host),
      onViolation,
    });
  }

  verdict(): Verdict | Promise<Verdict> {
    const denied = this.#denied();
    // What goes nowhere in any case is still worth telling.
    const inFields = this.#findings.sightings(this.#request.fields);
    const seen = this.#lookout.head(this.#request, inFields);
    if (denied !== null) return refuse(denied);
    if (seen.violation !== null) return { kind: "reset", refusal: seen.violation };
    const foreign = this.#foreign();
    if (foreign !== null) return refuse(foreign);
    if (!this.#spec.session.open) return PASS;
    if (this.#own.secrets.length === 0) return this.#watched();
    const held = this.#held();
    if (held === null) return UNAVAILABLE;
    if (!(held instanceof Promise)) return this.#pass(held, seen);
    return held.then((late) => this.#passLate(late, seen), () => UNAVAILABLE);
  }

  /** Null: a source failed at once. */
  #held(): ReturnType<Vault["heldFor"]> | null {
    try {
      return this.#spec.vault.heldFor(this.#own.host);
    } catch {
      return null;
    }
  }

  #denied(): Refusal | null {
    return this.#spec.judge(this.#line);
  }

  #foreign(): Refusal | null {
    const { secrets, placeholders, exclusive } = this.#own;
    if (!exclusive) return null;
    const { target, fields } = withoutOwnSignature(this.#request, secrets);
    const foreign = this.#findings.foreign(fields, this.#own) ??
      foreignInTarget(target, placeholders);
    return foreign === null
      ? null
      : { reason: "foreign-credential", detail: foreign.name.slice(0, MOST_NAME) };
  }

  /** None of its secrets belongs there. */
  #watched(): Verdict {
    if (this.#request.body.kind === "none") return PASS;
    const body = this.#body([]);
    if ("reason" in body) return refuse(body);
    return { kind: "pass", fields: body.fields(this.#request.fields), body: body.transform };
  }

  /** Policy may have changed meanwhile. */
  #passLate(held: readonly HeldSecret[], seen: Seen): Verdict {
    const denied = this.#denied();
    return denied === null ? this.#pass(held, seen) : refuse(denied);
  }

  #pass(held: readonly HeldSecret[], seen: Seen): Verdict {
    const { vault, onUse } = this.#spec;
    const request = this.#request;
    const { host, secrets } = this.#own;
    const all = this.#grants(held);
    const grants = withoutPairs(all);
    const inFields = this.#findings.substituted(request.fields, grants);
    const substituted = substituteHead(request, grants, inFields);
    if (substituted.kind === "refused") {
      return refuse({ reason: "secret-unreadable", detail: "too many values" });
    }
    // A signature covers the body as its signer had it.
    const isSigned = withoutOwnSignature(request, secrets) !== request;
    const body = request.body.kind === "none" ? NO_BODY : this.#body(isSigned ? [] : grants);
    if ("reason" in body) return refuse(body);
    const answer = answerGate({ request, vault, onUse });
    const { target, fields: put } = substituted.head;
    const asked = answer === undefined
      ? put
      : this.#findings.readable(put, request.body.kind === "upgrade");
    const head = { target, fields: body.fields(asked) };
    const signed = signRequest({
      request,
      changed: head,
      pairs: pairsOf(all),
      body: body.transform,
      onUse,
    });
    if (signed.kind === "refused") return refuse(signed.refusal);
    const home = signed.kind === "none" ? seen.home : besidesPair(seen.home, secrets, signed.name);
    for (const use of usesOf(host, substituted, home, "elsewhere")) onUse(use);
    const { transform, whole } = body;
    const pass = {
      kind: "pass",
      target,
      fields: head.fields,
      body: transform,
      whole,
      answer,
    } as const;
    return signed.kind === "none" ? pass : { ...pass, ...signed.pass };
  }

  #grants(held: readonly HeldSecret[]): readonly Grant[] {
    const { session: { verified, sni, isPinned } } = this.#spec;
    const { host: authority, method, path } = this.#line;
    const pinned = sni !== null && isPinned(sni);
    const request = this.#request;
    return grantsOf(held, {
      verified,
      pinned,
      sni,
      authority,
      method,
      path,
      overrides: () => overridesOf(request), // few secrets are bound to methods or paths
    });
  }

  #body(grants: readonly Grant[]): BodyPlan | Refusal {
    const { onUse } = this.#spec;
    const lookout = this.#lookout;
    if (this.#request.body.kind !== "upgrade") {
      return planBody({ request: this.#request, grants, lookout, onUse });
    }
    const transform = tunnel({ host: this.#own.host, grants, lookout, onUse });
    return { transform, fields: withoutExtensions, whole: false };
  }
}

/** Why a source failed is the vault's to tell, and not the guest's to know. */
const UNAVAILABLE = refuse({ reason: "secret-unavailable" });

/** A guest writes names of its own; what is told of them needs no more. */
const MOST_NAME = 100;

interface NoBody extends Omit<BodyPlan, "transform"> {
  readonly transform: undefined;
}

const NO_BODY: NoBody = { transform: undefined, fields: (fields) => fields, whole: false };

function refuse(refusal: Refusal): Verdict {
  return { kind: "refuse", refusal };
}
