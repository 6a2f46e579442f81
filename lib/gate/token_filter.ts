/**
 * Answers of a declared OAuth token endpoint: the guest gets placeholders of the tokens in them. Held back
 * until they are whole; what cannot be read as such an answer goes no further.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { SbxError } from "../base/errors.ts";
import { type HttpRequest, lineOf } from "../http/request.ts";
import { isHostOf, type Secret } from "../policy/model/secret.ts";
import { bodyKindOf } from "../secret/body_kind.ts";
import type { Mask, Masked } from "../secret/mask.ts";
import { type Replace, replaceInForm, replaceInJson } from "../secret/token_answer.ts";
import type { TokenKind, Vault } from "../secret/vault.ts";
import { mayBeEndpoint } from "./endpoint_path.ts";
import type { MaskFilter } from "./masked_content.ts";
import { unreadable } from "./unreadable.ts";

/** The secret whose token endpoint the request is to; null: none. */
export function issuerOf({ kept }: Vault, request: HttpRequest): Secret | null {
  const found = kept.find(({ secret: { tokens } }) => {
    if (tokens === undefined) return false;
    const { host, path } = lineOf(request);
    return isHostOf(tokens, host) && tokens.paths.some((one) => mayBeEndpoint(path, one));
  });
  return found?.secret ?? null;
}

/** Bytes, decoded. Answers with tokens have a few kilobytes. */
const MOST_TEXT = 256 << 10;

export interface TokenFilterSpec {
  readonly vault: Vault;
  readonly issuer: Secret;
  /** Of what is known by then. */
  readonly mask: () => Mask;
  readonly contentType: string;
}

export class TokenFilter implements MaskFilter {
  readonly #spec: TokenFilterSpec;
  readonly #kept: Buffer[] = [];
  #size = 0;
  #masked: readonly Masked[] = [];

  constructor(spec: TokenFilterSpec) {
    this.#spec = spec;
  }

  /** @throws GateRefusal */
  push(bytes: Uint8Array): Buffer {
    this.#size += bytes.length;
    if (this.#size > MOST_TEXT) throw unreadable("an answer with tokens that is too long");
    this.#kept.push(Buffer.from(bytes));
    return NOTHING;
  }

  /** @throws GateRefusal */
  end(): Buffer {
    if (this.#size === 0) return NOTHING;
    const minted = new Map<string, number>();
    const replaced = this.#replaced(textOf(Buffer.concat(this.#kept)), (kind, token) => {
      const name = `${this.#spec.issuer.name}.${kind}`;
      minted.set(name, (minted.get(name) ?? 0) + 1);
      return this.#mint(kind, token);
    });
    // A token may stand there once more by another name.
    const body = this.#spec.mask().body();
    const out = Buffer.concat([body.push(Buffer.from(replaced, "utf8")), body.end()]);
    this.#masked = [...[...minted].map(([name, count]) => ({ name, count })), ...body.masked];
    return out;
  }

  get masked(): readonly Masked[] {
    return this.#masked;
  }

  #replaced(text: string, replace: Replace): string {
    const { contentType } = this.#spec;
    const kind = contentType === "" ? "plain" : bodyKindOf(contentType)?.kind;
    if (kind === "form") return replaceInForm(text, replace);
    const json = kind === "json" || kind === "plain" ? replaceInJson(text, replace) : null;
    if (json !== null) return json;
    if (kind === "plain" && FORM.test(text)) return replaceInForm(text, replace);
    throw unreadable("an answer with tokens that is neither JSON nor a form");
  }

  #mint(kind: TokenKind, token: string): string {
    const { vault: { tokens }, issuer } = this.#spec;
    try {
      if (tokens !== undefined) return tokens.mint(issuer, kind, token);
    } catch (error) {
      if (!(error instanceof SbxError)) throw error;
    }
    throw unreadable("a token that cannot be kept");
  }
}

/** What may be a form, and is no page or script that could have a token anywhere. */
const FORM = /^[^\s"'{}<>]*\s*$/;

const NOTHING = Buffer.alloc(0);

function textOf(bytes: Buffer): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw unreadable("an answer with tokens that is no text");
  }
}
