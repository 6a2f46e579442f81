/**
 * The model: what a secret is, where its value comes from, and where it may go.
 *
 * A secret is a declaration and holds no value. The guest has a placeholder of it, the value
 * is read elsewhere, and the two meet where a request leaves (`lib/secret`).
 *
 * @module
 */

import { nameHasSuffix } from "../../base/name.ts";

/** Where in a request a placeholder is replaced by the value. */
export type Place =
  | "header" // the value of a field, see HeaderSelection
  | "basic" // user or password of Basic credentials, inside their base64
  | "query" // behind the question mark of the target, percent-encoded
  | "path" // before it, percent-encoded
  | "body" // JSON, form, multipart and text, each in its own escapes
  | "websocket"; // text messages of a WebSocket, as JSON or as plain text

export const PLACES: readonly Place[] = ["header", "basic", "query", "path", "body", "websocket"];

/** Where a value goes unless its secret says otherwise: where servers expect credentials. */
export const DEFAULT_PLACES: ReadonlySet<Place> = new Set(["header", "basic"]);

/** In which fields the place `header` lies. Fields that frame or route a request are never among them. */
export type HeaderSelection =
  | { readonly kind: "credentials" } // those that carry credentials, see lib/secret/credentials.ts
  | { readonly kind: "any" }
  | { readonly kind: "listed"; readonly keys: ReadonlySet<string> }; // in lower case

/** Where the value is read. Reading it is not the business of this folder. */
export type Source =
  | { readonly kind: "env"; readonly variable: string }
  | { readonly kind: "file"; readonly path: string }
  | { readonly kind: "cmd"; readonly command: string }
  | { readonly kind: "keychain"; readonly service: string }
  /** The program that makes the sandbox has it (`lib/secret/program_values.ts`); nothing spells that. */
  | { readonly kind: "program" };

/** What a declaration can spell. */
export type SourceKind = Exclude<Source["kind"], "program">;

/** A secret as it was declared; its value is nowhere in it. */
export interface Secret {
  /** The environment variable that holds the placeholder in the guest. */
  readonly name: string;
  /** Where the value is read. */
  readonly source: Source;
  /** Canonical names: `api.example.com` is this host, `.example.com` this one and all below it. */
  readonly hosts: readonly string[];
  /** Where in a request the value may stand. */
  readonly places: ReadonlySet<Place>;
  /** In which fields it may. */
  readonly headers: HeaderSelection;
  /** Request methods, in capitals, that may carry the value; empty: all. */
  readonly methods: readonly string[];
  /** What the path of a request must be or be below; null: any path. Begins with a slash. */
  readonly pathPrefix: string | null;
  /** Requests to these hosts that carry a credential of the guest's own are refused. */
  readonly exclusive: boolean;
  /** The value is replaced by the placeholder in what these hosts answer. */
  readonly mask: boolean;
  /** The form of the placeholder, `sk-ant-*`; null: the usual one. */
  readonly format: string | null;
  /** Absent: what its hosts answer has no tokens to keep from the guest. */
  readonly tokens?: TokenEndpoint;
  /**
   * A pair of keys that requests are signed with. Its parts have variables that begin with `name` (see
   * `aws_pair.ts`), and no places. Absent: a value that is sent.
   */
  readonly aws?: AwsPair;
}

/**
 * Where servers hand out tokens (OAuth 2.0: RFC 6749, 8628). What stands in their answers stays here: the
 * guest gets placeholders of it, which are good for the hosts of the secret.
 */
export interface TokenEndpoint {
  /** Names as of secrets, all of them hosts of the secret. */
  readonly hosts: readonly string[];
  /** Exact, without a query; at least one. */
  readonly paths: readonly string[];
}

/** One part of a pair of AWS keys. */
export type AwsPart = "id" | "key" | "token";

/** What bounds a pair of AWS keys. */
export interface AwsPair {
  /** Of a file with shared credentials: whose of them. */
  readonly profile: string;
  /** Regions that requests may be signed for; empty: all. */
  readonly regions: readonly string[];
  /** Services, by the names that signatures have of them (`s3`, `execute-api`); empty: all. */
  readonly services: readonly string[];
  /** In a secret that was made of a declaration: which part it is, and of which declaration. */
  readonly part?: { readonly kind: AwsPart; readonly of: string };
}

/** What happens when a placeholder is on its way to a host that is not its own. */
export const ViolationAction: {
  /** The guest sees a reset. */
  readonly Block: "block";
  /** And the host a warning. */
  readonly BlockAndLog: "block-and-log";
  /** And the sandbox ends. */
  readonly BlockAndTerminate: "block-and-terminate";
} = Object.freeze({
  Block: "block",
  BlockAndLog: "block-and-log",
  BlockAndTerminate: "block-and-terminate",
});
/** What happens when a placeholder is on its way to a host that is not its own. */
export type ViolationAction = (typeof ViolationAction)[keyof typeof ViolationAction];

export const VIOLATION_ACTIONS: readonly ViolationAction[] = Object.values(ViolationAction);

/** The secrets of a sandbox. */
export interface SecretSettings {
  /** No name twice. */
  readonly secrets: readonly Secret[];
  /** What happens when a placeholder is on its way to a foreign host. */
  readonly onViolation: ViolationAction;
}

export const NO_SECRETS: SecretSettings = { secrets: [], onViolation: "block" };

/** Whether the host is one of the secret's. Canonical names; an address never is. */
export function isHostOf({ hosts }: Pick<Secret, "hosts">, host: string): boolean {
  return hosts.some((pattern) =>
    pattern.startsWith(".") ? nameHasSuffix(host, pattern.slice(1)) : host === pattern
  );
}
