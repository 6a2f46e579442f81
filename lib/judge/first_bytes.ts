/**
 * What clients say first, as bytes: for flows that nobody has opened yet, so that these are read by the
 * same parsers as any.
 *
 * @module
 */
import { Buffer } from "node:buffer";

/** What a client says first. A name is canonical. */
export type FirstWords =
  | { readonly kind: "tls"; readonly sni?: string; readonly alpn?: readonly string[] }
  | { readonly kind: "http"; readonly host: string }
  | { readonly kind: "bytes"; readonly bytes: Uint8Array }
  /** It waits for its server. */
  | { readonly kind: "nothing" };

export function firstBytes(words: FirstWords): Uint8Array {
  switch (words.kind) {
    case "tls":
      return clientHello(words);
    case "http":
      return Buffer.from(`GET / HTTP/1.1\r\nHost: ${bracketed(words.host)}\r\n\r\n`, "latin1");
    case "bytes":
      return words.bytes;
    case "nothing":
      return new Uint8Array();
  }
}

const Extension = { ServerName: 0, Alpn: 16, SupportedVersions: 43 } as const;

/** A ClientHello in one record (RFC 8446 4.1.2), as of a client that speaks TLS 1.3 and 1.2. */
function clientHello({ sni, alpn = [] }: FirstWords & { kind: "tls" }): Buffer {
  const extensions = [
    ...(sni === undefined ? [] : [serverName(sni)]),
    ...(alpn.length === 0
      ? []
      : [extension(Extension.Alpn, vector(2, ...alpn.map((name) => vector(1, latin1(name)))))]),
    extension(Extension.SupportedVersions, vector(1, Buffer.of(3, 4, 3, 3))),
  ];
  const body = Buffer.concat([
    Buffer.of(3, 3),
    Buffer.alloc(32), // random
    vector(1), // session id
    vector(2, Buffer.of(0x13, 0x01, 0xc0, 0x2b, 0xc0, 0x2f)), // suites
    vector(1, Buffer.of(0)), // compression: none
    vector(2, ...extensions),
  ]);
  return Buffer.concat([Buffer.of(22, 3, 1), vector(2, Buffer.of(1), vector(3, body))]);
}

/** RFC 6066 3: a list of one host_name. */
function serverName(name: string): Buffer {
  return extension(Extension.ServerName, vector(2, Buffer.of(0), vector(2, latin1(name))));
}

function extension(type: number, data: Buffer): Buffer {
  return Buffer.concat([Buffer.of(type >> 8, type & 0xff), vector(2, data)]);
}

/** Parts behind their length in bytes, which takes `width` bytes. */
function vector(width: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts);
  const length = Buffer.alloc(width);
  length.writeUIntBE(content.length, 0, width);
  return Buffer.concat([length, content]);
}

function latin1(text: string): Buffer {
  return Buffer.from(text, "latin1");
}

function bracketed(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}
