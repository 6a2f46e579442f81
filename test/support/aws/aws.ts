/**
 * Amazon's own signatures, and MinIO's of chunks, to compare with (main.go).
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { spawnSync } from "node:child_process";
import type { HeadField, RequestHead } from "../../../lib/secret/substitute_head.ts";
import { buildGo } from "../build.ts";

export interface Keys {
  readonly id: string;
  readonly key: string;
  readonly token?: string;
}

interface OracleField {
  readonly name: string;
  readonly value: string;
}

/** One character a byte in all texts. */
export interface Question {
  /** `chunks`: signs the body's as well; `check`: as a server does. */
  readonly ask: "sign" | "presign" | "chunks" | "check";
  readonly keys: Keys;
  readonly method: string;
  readonly host: string;
  readonly target: string;
  readonly fields: readonly OracleField[];
  readonly service?: string;
  readonly region?: string;
  readonly time?: string;
  /** The hash of the body, or the word for it. */
  readonly payload?: string;
  readonly body?: Uint8Array;
  readonly trailers?: readonly OracleField[];
}

export interface Signed {
  readonly head: RequestHead;
  readonly body: Buffer;
  /** Empty: none. */
  readonly error: string;
}

let program: string | undefined;

/** The answers, in order. */
export function askAws(questions: readonly Question[]): Signed[] {
  program ??= buildGo("aws");
  const { stdout, stderr, status } = spawnSync(program, {
    input: questions.map((one) => {
      const body = Buffer.from(one.body ?? []).toString("base64");
      return `${JSON.stringify({ ...one, body })}\n`;
    }).join(""),
    encoding: "utf8",
    maxBuffer: 1 << 30,
  });
  if (status !== 0) throw new Error(`the oracle says: ${stderr}`);
  return stdout.trimEnd().split("\n").map((line, at) => {
    const { Target, Fields, Body, Error: error } = JSON.parse(line) as Written;
    const method = questions[at]?.method ?? "";
    const fields = (Fields ?? []).map(({ Name, Value }) => headField(Name, Value))
      .sort((a, b) => a.key < b.key ? -1 : 1);
    return { head: { method, target: Target, fields }, body: Buffer.from(Body, "base64"), error };
  });
}

export function headField(name: string, value: string): HeadField {
  return { name, key: name.toLowerCase(), value };
}

interface Written {
  readonly Target: string;
  readonly Fields: readonly { readonly Name: string; readonly Value: string }[] | null;
  readonly Body: string;
  readonly Error: string;
}
