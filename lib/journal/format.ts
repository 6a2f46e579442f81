/**
 * The format of the journal, in one place for who writes it and who reads it: which events there are,
 * what fields each has, how a line is printed, and how it is parsed. docs/journal.md says what they mean;
 * a change to the meaning of a field changes the version.
 *
 * @module
 */
import { escapeJson } from "../base/escape.ts";
import type { FlowEnd } from "../flow/control_message.ts";
import type { Action, Direction, Protocol, ReasonId } from "../policy/model/policy.ts";

import type { ViolationAction } from "../policy/model/secret.ts";
import type { Route, SecretUse } from "../secret/report.ts";

export const JOURNAL_VERSION = 1;

/** What a field of each kind holds, as far as a reader counts on it. */
interface Kinds {
  readonly text: string;
  readonly number: number;
  readonly texts: readonly string[];
  /** Words by what they are about. */
  readonly words: Readonly<Record<string, string>>;
}
type Kind = keyof Kinds;

interface Field<K extends Kind, Written extends Kinds[K], Absent extends boolean> {
  readonly kind: K;
  /** Whether a line can lack it. */
  readonly optional: Absent;
  /** Never there; gives what writers may put in a type. */
  readonly written?: Written;
}

type Required<K extends Kind, Written extends Kinds[K]> = Field<K, Written, false>;

const text = <W extends string = string>(): Required<"text", W> => //
({ kind: "text", optional: false });
const texts = (): Required<"texts", readonly string[]> => ({ kind: "texts", optional: false });
const number = (): Required<"number", number> => ({ kind: "number", optional: false });
const optional = <K extends Kind, W extends Kinds[K]>({ kind }: Required<K, W>) =>
  ({ kind, optional: true }) as Field<K, W, true>;

const POLICY = {
  /** The rules in order, as they would be written. */
  policy: texts(),
  defaults: { kind: "words", optional: false } as Required<"words", Record<Direction, Action>>,
};

/** What the lines of a flow have in common. */
const FLOW = {
  /** The same in all lines of one flow. */
  flow: number(),
  direction: text<Direction>(),
  protocol: text<Protocol>(),
  /** `address:port`, or the address alone for protocols without ports. */
  source: text(),
  destination: text(),
  /** What the flow stated, or a name that its destination was resolved from. */
  name: optional(text()),
  /** What was decided about the TLS inside a flow to an intercepted port. */
  tls: optional(text<"intercepted" | "bypassed">()),
};

/** Why something was decided as it was. */
const WHY = {
  reason: text<ReasonId>(),
  /** Index of the rule in the policy, from 0. */
  rule: optional(number()),
  /** The rule as it would be written. */
  ruleText: optional(text()),
  /** More on the reason, for people. */
  detail: optional(text()),
};

/** A port of this machine that listens for the guest. */
const PUBLISHED = {
  protocol: text<"tcp" | "udp">(),
  address: text(),
  port: number(),
  guestPort: number(),
};

/** How many lines of each event a `suppressed` stands for. */
const SUPPRESSED = {
  /** Of refused flows and requests. */
  denied: number(),
  dns: number(),
  opened: number(),
  closed: number(),
  /** Of requests that were answered. */
  request: number(),
};

/** The fields of each event, beside `time` and `event`. */
export const EVENTS = {
  start: {
    version: number(),
    /** Of sbx. */
    sbx: text(),
    /** The program that the sandbox is for; arguments can be secret, and are left out. */
    command: optional(text()),
    /** The same for the same policy. */
    digest: text(),
    ...POLICY,
  },
  /** The policy was replaced. */
  policy: { digest: text(), ...POLICY },
  dns: {
    name: text(),
    type: text(),
    via: text<"udp" | "tcp">(),
    /** The resolver that the guest meant to ask. */
    asked: optional(text()),
    verdict: text<"answered" | "refused" | "failed">(),
    rcode: optional(number()),
    answers: texts(),
    ms: number(),
    /** More than this one query. */
    count: optional(number()),
    ...WHY,
    reason: optional(text<ReasonId>()),
  },
  opened: { ...FLOW, ...WHY, dialled: text() },
  closed: {
    ...FLOW,
    /** Bytes of the guest to its peer, and back. */
    up: number(),
    down: number(),
    ms: number(),
    end: text<FlowEnd>(),
  },
  denied: { ...FLOW, ...WHY },
  revoked: { ...FLOW, ...WHY },
  /** One HTTP request inside an intercepted flow. There are no bodies, fields or queries in a journal. */
  request: {
    flow: number(),
    /** Absent when the guest's bytes were no request. */
    method: optional(text()),
    host: optional(text()),
    /** Without the query. */
    path: optional(text()),
    /** What the guest got; absent when that was nothing. */
    status: optional(number()),
    /** Bytes of the bodies: the guest's, the server's. */
    up: number(),
    down: number(),
    ms: number(),
    ...WHY,
    /** Present when sbx answered in the server's place. */
    reason: optional(text<ReasonId>()),
  },
  /** What one request did with one secret. */
  secret: {
    flow: number(),
    name: text(),
    host: text(),
    what: text<SecretUse["what"]>(),
    place: text<SecretUse["place"]>(),
    count: number(),
  },
  /** A placeholder was on its way to where it does not belong. */
  "secret-violation": {
    flow: optional(number()),
    /** Of the secrets. */
    names: texts(),
    route: text<Route>(),
    to: text(),
    /** How each was written: plain, hex or base64, and behind how many layers of escapes. */
    disguises: texts(),
    action: text<ViolationAction>(),
  },
  /** New flows that netstack refused because one of its limits was reached. */
  limit: { what: text(), count: number() },
  /** Lines that were left out since the last one, because they came too fast. */
  suppressed: SUPPRESSED,
  /** The file has reached its limit: what follows is counted, and only the end is written. */
  full: {},
  /** Lines that could not be written, because a disk or the file was full, or the reader too slow. */
  lost: { lines: number() },
  published: PUBLISHED,
  /** It does not any more. */
  unpublished: PUBLISHED,
  end: { error: optional(text()) },
};

type Events = typeof EVENTS;
type Value<F> = F extends { readonly written?: infer W } ? Exclude<W, undefined> : never;

/** The values of so many fields, as they are written. */
type Written<F> =
  & { readonly [N in keyof F as F[N] extends { optional: true } ? never : N]: Value<F[N]> }
  & { readonly [N in keyof F as F[N] extends { optional: true } ? N : never]?: Value<F[N]> };

export type JournalEvent = {
  [E in keyof Events]: { readonly event: E } & Written<Events[E]>;
}[keyof Events];

export type FlowLine = Written<typeof FLOW>;
export type WhyLine = Written<typeof WHY>;
export type SuppressedLines = Written<typeof SUPPRESSED>;

/** One line, as its reader takes it: a file may have been written by a later sbx, or touched by anybody. */
export interface JournalRecord {
  /** As written: ISO 8601, UTC. */
  readonly time: string;
  /** The same in all lines of one sandbox; a file can have many. Absent in journals of an older sbx. */
  readonly run?: string;
  /** What happened: `denied`, `opened` and the others of docs/journal.md. */
  readonly event: string;
  /** What is not understood is kept. */
  readonly fields: Readonly<Record<string, unknown>>;
}

/** The line, without its end. */
export function printLine(time: Date, run: string, event: JournalEvent): string {
  return escapeJson(JSON.stringify({ time: time.toISOString(), run, ...event }));
}

/** Null for what is no line of a journal. */
export function parseLine(line: string): JournalRecord | null {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return null;
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return null;
  const { time, event, run, ...fields } = value as Record<string, unknown>;
  if (typeof time !== "string" || typeof event !== "string") return null;
  return { time, event, fields, ...(typeof run === "string" ? { run } : {}) };
}

export type FieldName = { [E in keyof Events]: keyof Events[E] }[keyof Events];

type KindOf<N extends FieldName> = {
  [E in keyof Events]: N extends keyof Events[E]
    ? Events[E][N] extends { readonly kind: infer K extends Kind } ? K : never
    : never;
}[keyof Events];

/** What a reader finds in a field. */
export type FieldValue<N extends FieldName> = Kinds[KindOf<N>];

/** A name has one kind, whichever event it is of. */
const KINDS: ReadonlyMap<string, Kind> = new Map(
  Object.values(EVENTS).flatMap((fields: Readonly<Record<string, { readonly kind: Kind }>>) =>
    Object.entries(fields).map(([name, { kind }]) => [name, kind] as const)
  ),
);

/** A field of a line; undefined when it is absent, or not of the field's kind. */
export function fieldOf<N extends FieldName>(
  { fields }: JournalRecord,
  name: N,
): FieldValue<N> | undefined {
  const kind = KINDS.get(name);
  const value = fields[name];
  return kind === undefined ? undefined : READ[kind](value) as FieldValue<N> | undefined;
}

const READ: { readonly [K in Kind]: (value: unknown) => Kinds[K] | undefined } = {
  text: (value) => typeof value === "string" ? value : undefined,
  number: (value) => typeof value === "number" && Number.isFinite(value) ? value : undefined,
  texts: (value) => Array.isArray(value) ? value.filter(isText) : undefined,
  words: (value) =>
    typeof value === "object" && value !== null
      ? Object.fromEntries(Object.entries(value).filter(([, word]) => isText(word)))
      : undefined,
};

function isText(value: unknown): value is string {
  return typeof value === "string";
}
