/**
 * Another implementation to compare with: Go's (test/support/oracle).
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { spawnSync } from "node:child_process";
import { buildGo } from "./build.ts";

export interface OracleField {
  readonly name: string;
  readonly value: string;
  readonly sensitive: boolean;
}

export type Question =
  | { readonly encode: readonly OracleField[]; readonly table?: number }
  /** In base64. `fresh`: by a decoder whose first block it is. */
  | { readonly decode: string; readonly fresh?: true }
  /** In base64: one after the other. */
  | { readonly requests: string };

export interface Answer {
  readonly block: Buffer;
  /** One character a byte, as ours are. */
  readonly fields: readonly { readonly name: string; readonly value: string }[];
  readonly requests: readonly {
    readonly method: string;
    readonly target: string;
    readonly host: string;
  }[];
  readonly error: string;
}

/** The answers, in order. */
export function ask(questions: readonly Question[]): Answer[] {
  const { stdout, stderr, status } = spawnSync(buildGo("oracle"), {
    input: questions.map((question) => `${JSON.stringify(question)}\n`).join(""),
    encoding: "utf8",
    maxBuffer: 1 << 30,
  });
  if (status !== 0) throw new Error(`the oracle says: ${stderr}`);
  return stdout.trimEnd().split("\n").map((line) => {
    const { block, fields, requests, error } = JSON.parse(line) as Written;
    return {
      block: Buffer.from(block ?? "", "base64"),
      fields: (fields ?? []).map(({ name, value }) => ({ name: text(name), value: text(value) })),
      requests: (requests ?? []).map(({ method, target, host }) => {
        return { method: text(method), target: text(target), host: text(host) };
      }),
      error,
    };
  });
}

/** As it is on the wire: bytes in base64. */
interface Written extends Pick<Answer, "error"> {
  readonly block: string | null;
  readonly fields: Answer["fields"] | null;
  readonly requests: Answer["requests"] | null;
}

function text(base64: string | null): string {
  return Buffer.from(base64 ?? "", "base64").toString("latin1");
}
