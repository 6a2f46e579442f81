/**
 * Answers through the gate for them, as a relay asks it.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { answerGate } from "../../lib/gate/answer_gate.ts";
import { BodyFlow } from "../../lib/http/body_flow.ts";
import { type Field, field } from "../../lib/http/fields.ts";
import { type AnswerGate, passAnswer } from "../../lib/http/gate.ts";
import type { BodyShape, HttpRequest } from "../../lib/http/request.ts";
import type { HeldSecret } from "../../lib/secret/grant.ts";
import type { SecretUse } from "../../lib/secret/report.ts";
import { Tripwire } from "../../lib/secret/tripwire.ts";
import type { Vault } from "../../lib/secret/vault.ts";
import { API } from "../secret/held.ts";

export function vaultOf(known: readonly HeldSecret[]): Vault {
  return {
    kept: known,
    onViolation: "block",
    tripwire: new Tripwire([]),
    heldFor: () => known,
    known: () => known,
    permit: () => {},
  };
}

export function requestOf(changes: Partial<HttpRequest> = {}): HttpRequest {
  return {
    method: "GET",
    scheme: "https",
    authority: { host: API, port: 443 },
    target: "/",
    fields: [],
    body: { kind: "none" },
    ...changes,
  };
}

export interface Gated {
  readonly answer: AnswerGate | undefined;
  readonly uses: SecretUse[];
}

export function gated(vault: Vault, request = requestOf()): Gated {
  const uses: SecretUse[] = [];
  return { answer: answerGate({ request, vault, onUse: (use) => uses.push(use) }), uses };
}

/** What a server says. */
export interface Said {
  readonly status?: number;
  readonly phrase?: string;
  readonly fields?: Readonly<Record<string, string>>;
  /** Left out: it states the length of its pieces. */
  readonly body?: BodyShape;
  readonly pieces?: readonly Uint8Array[];
  readonly trailers?: Readonly<Record<string, string>>;
}

/** What a guest hears. */
export interface Heard {
  readonly phrase: string;
  readonly fields: Readonly<Record<string, string>>;
  /** What is stated before the body; null: nothing. */
  readonly length: number | null;
  /** The head waits for the body. */
  readonly whole: boolean;
  readonly pieces: readonly Buffer[];
  readonly content: Buffer;
  readonly trailers: Readonly<Record<string, string>>;
}

/** @throws GateRefusal, MalformedHttp */
export function hear(gate: AnswerGate | undefined, said: Said): Heard {
  const { status = 200, phrase = "", pieces = [], trailers = {} } = said;
  const stated = pieces.reduce((sum, { length }) => sum + length, 0);
  const body = said.body ?? { kind: "length", length: stated };
  const passed = passAnswer({ status, phrase, fields: fieldsOf(said.fields ?? {}), body }, gate);
  const flow = new BodyFlow(body, body.kind === "length" ? body.length : null, passed.body);
  try {
    const out = pieces.map((piece) => Buffer.from(flow.push(Buffer.from(piece))));
    const rest = flow.end();
    return {
      phrase: passed.phrase,
      fields: recordOf(passed.fields),
      length: flow.length,
      whole: passed.whole,
      pieces: out,
      content: Buffer.concat([...out, rest]),
      trailers: recordOf(flow.trailers(fieldsOf(trailers))),
    };
  } finally {
    flow.close();
  }
}

function fieldsOf(record: Readonly<Record<string, string>>): Field[] {
  return Object.entries(record).map(([name, value]) => field(name, value));
}

function recordOf(fields: readonly Field[]): Record<string, string> {
  return Object.fromEntries(fields.map(({ name, value }) => [name, value]));
}
