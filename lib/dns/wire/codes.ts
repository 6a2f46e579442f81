/**
 * Numbers of the DNS protocol, by the names the IANA registry gives them.
 *
 * @module
 */

export const Type = {
  A: 1,
  NS: 2,
  MD: 3,
  MF: 4,
  CNAME: 5,
  SOA: 6,
  MB: 7,
  MG: 8,
  MR: 9,
  PTR: 12,
  HINFO: 13,
  MINFO: 14,
  MX: 15,
  TXT: 16,
  RP: 17,
  AFSDB: 18,
  RT: 21,
  "NSAP-PTR": 23,
  SIG: 24,
  PX: 26,
  AAAA: 28,
  LOC: 29,
  NXT: 30,
  SRV: 33,
  NAPTR: 35,
  KX: 36,
  CERT: 37,
  A6: 38,
  DNAME: 39,
  OPT: 41,
  DS: 43,
  SSHFP: 44,
  IPSECKEY: 45,
  RRSIG: 46,
  NSEC: 47,
  DNSKEY: 48,
  NSEC3: 50,
  NSEC3PARAM: 51,
  TLSA: 52,
  HIP: 55,
  TALINK: 58,
  CDS: 59,
  CDNSKEY: 60,
  SVCB: 64,
  HTTPS: 65,
  DSYNC: 66,
  LP: 107,
  TKEY: 249,
  TSIG: 250,
  IXFR: 251,
  AXFR: 252,
  MAILB: 253,
  MAILA: 254,
  ANY: 255,
  URI: 256,
  CAA: 257,
  AMTRELAY: 260,
} as const;

const TYPE_NAMES = new Map<number, string>(
  Object.entries(Type).map(([name, number]) => [number, name]),
);

/** `A`, `HTTPS`, or `TYPE65400` (RFC 3597 §5) for a type without a name here. */
export function typeName(type: number): string {
  return TYPE_NAMES.get(type) ?? `TYPE${type}`;
}

export const Class = { IN: 1 } as const;

export const Rcode = {
  NoError: 0,
  FormErr: 1,
  ServFail: 2,
  NxDomain: 3,
  NotImp: 4,
  Refused: 5,
  /** Needs an OPT record: the upper bits of the code stand there (RFC 6891 §6.1.3). */
  BadVers: 16,
} as const;

/** Bits of the header's second word. */
export const Flag = {
  QR: 0x8000,
  AA: 0x0400,
  TC: 0x0200,
  RD: 0x0100,
  RA: 0x0080,
  AD: 0x0020,
  CD: 0x0010,
} as const;

/** Info codes of extended DNS errors (RFC 8914 §4). */
export const Ede = {
  Other: 0,
  Blocked: 15,
  Prohibited: 18,
  NotSupported: 21,
  NetworkError: 23,
} as const;
