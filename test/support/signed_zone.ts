/**
 * A zone of one key, signed as RFC 4034 has it, for resolvers that validate (ECDSA on P-256).
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { createHash, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import type { Answer } from "dns-packet";

const ECDSA_P256 = 13;
const SHA256 = 2;
const TYPES = { A: 1, DNSKEY: 48 } as const;
const TTL = 60;
const HOUR_S = 3600;

export class SignedZone {
  readonly apex: string;
  readonly #key: KeyObject;
  /** Record data of the DNSKEY. */
  readonly #dnskey: Buffer;

  constructor(apex: string) {
    this.apex = apex;
    const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    this.#key = privateKey;
    const { x = "", y = "" } = publicKey.export({ format: "jwk" });
    const point = Buffer.concat([Buffer.from(x, "base64url"), Buffer.from(y, "base64url")]);
    this.#dnskey = Buffer.concat([Buffer.from([1, 1, 3, ECDSA_P256]), point]);
  }

  /** What a resolver that knows nothing else has to trust: name, key tag, algorithm, digest. */
  get anchor(): string {
    const digest = createHash("sha256").update(wireName(this.apex))
      .update(this.#dnskey).digest("hex");
    return [this.apex, this.#keyTag(), ECDSA_P256, SHA256, digest].join(",");
  }

  /** The zone's key, with its signature. */
  get keys(): Answer[] {
    const key = raw(TYPES.DNSKEY, this.apex, this.#dnskey);
    return [key, this.#signature(this.apex, "DNSKEY", this.#dnskey)];
  }

  /** An address with its signature. `shown`: the address that somebody put in its place on the way. */
  address(name: string, address: string, shown = address): Answer[] {
    const data = Buffer.from(address.split(".").map(Number));
    return [{ type: "A", name, ttl: TTL, data: shown }, this.#signature(name, "A", data)];
  }

  #signature(name: string, type: keyof typeof TYPES, data: Buffer): Answer {
    const owner = wireName(name);
    const now = Math.floor(Date.now() / 1000);
    const head = Buffer.alloc(18);
    head.writeUInt16BE(TYPES[type], 0);
    head[2] = ECDSA_P256;
    head[3] = name.split(".").length;
    head.writeUInt32BE(TTL, 4);
    head.writeUInt32BE(now + HOUR_S, 8);
    head.writeUInt32BE(now - HOUR_S, 12);
    head.writeUInt16BE(this.#keyTag(), 16);
    const signer = wireName(this.apex);
    const record = Buffer.alloc(10);
    record.writeUInt16BE(TYPES[type], 0);
    record.writeUInt16BE(1, 2);
    record.writeUInt32BE(TTL, 4);
    record.writeUInt16BE(data.length, 8);
    const signed = Buffer.concat([head, signer, owner, record, data]);
    const signature = sign("sha256", signed, { key: this.#key, dsaEncoding: "ieee-p1363" });
    return raw(46, name, Buffer.concat([head, signer, signature]));
  }

  /** RFC 4034 appendix B. */
  #keyTag(): number {
    let sum = 0;
    this.#dnskey.forEach((byte, index) => sum += index % 2 === 0 ? byte << 8 : byte);
    return (sum + (sum >>> 16)) & 0xffff;
  }
}

function wireName(name: string): Buffer {
  const labels = name.split(".").map((label) => Buffer.from(label));
  return Buffer.concat([
    ...labels.flatMap((label) => [Buffer.from([label.length]), label]),
    Buffer.from([0]),
  ]);
}

/** A record by its type's number and its bytes. */
function raw(type: number, name: string, data: Buffer): Answer {
  return { type: `UNKNOWN_${type}`, name, ttl: TTL, data } as unknown as Answer;
}
