/**
 * Who is who in the fake internet. Every address below belongs to the internet's namespace, which runs the
 * same servers on all of them: what separates a public address from a canary is only the policy under test.
 *
 * @module
 */

export const PUBLIC = "93.184.216.34";
export const PUBLIC_2 = "93.184.216.35";
export const PUBLIC_6 = "2606:2800:220::34";
export const SHARED = "104.16.1.1";
export const EVIL = "45.33.32.156";
export const RESOLVERS = ["9.9.9.9", "8.8.8.8"] as const;

/** What a LAN and a cloud would have behind the host. */
export const PRIVATE = [
  "10.9.9.9",
  "172.20.0.5",
  "192.168.77.7",
  "100.64.0.9",
  "fd12::9",
] as const;
export const METADATA = [
  "169.254.169.254",
  "169.254.170.2",
  "168.63.129.16",
  "100.100.100.200",
  "192.0.0.192",
  "fd00:ec2::254",
] as const;

/** IPv6 spellings under which a translator would reach an IPv4 address: 10.9.9.9, 169.254.169.254. */
export const TRANSLATED = [
  "64:ff9b::a09:909",
  "64:ff9b::a9fe:a9fe",
  "2002:a09:909::1",
  "2002:a9fe:a9fe::1",
] as const;

/** Public by every registry, though few expect it (benchmarking, RFC 2544). */
export const ODD = "198.18.0.9";

/** The router says at once that this one cannot be reached; SILENT never answers. */
export const UNREACHABLE = "203.0.113.7";
export const SILENT = "203.0.113.9";

/** The host's own: an address that looks public, and what listens there and on its loopback. */
export const HOST_ADDRESSES = ["151.101.9.2", "2606:4700:9::2"] as const;
export const HOST_LOOPBACK_PORT = 9001;
export const HOST_ANY_PORT = 9002;

export const ALL_ADDRESSES: readonly string[] = [
  PUBLIC,
  PUBLIC_2,
  PUBLIC_6,
  SHARED,
  EVIL,
  ...RESOLVERS,
  ...PRIVATE,
  ...METADATA,
  ...TRANSLATED,
  ODD,
];

/** Ports on which every address above serves. */
export const PORT = {
  echo: 7,
  banner: 22,
  http: 80,
  https: 443,
  https2: 8443,
  tls: 993,
  bulk: 9000,
} as const;

const TLS_HABITS = [
  "greets",
  "h1",
  "h2",
  "none",
  "v11",
  "v12",
  "v13",
  "cbc",
  "mtls",
  "mtls-v12",
  "expired",
  "early",
  "wrong-name",
  "client-only",
  "self-signed",
  "stranger",
] as const;

/** What the resolvers of the fake internet say. */
export const ZONE = {
  "allowed.test": { A: [PUBLIC] },
  "api.allowed.test": { A: [PUBLIC], AAAA: [PUBLIC_6] },
  "files.allowed.test": { A: [PUBLIC_2] },
  "alias.allowed.test": { CNAME: ["api.allowed.test"] },
  // One address with two tenants.
  "good.cdn.test": { A: [SHARED] },
  "bad.cdn.test": { A: [SHARED] },
  "evil.test": { A: [EVIL] },
  // Servers whose TLS has a habit or a fault; tls.go knows which.
  ...Object.fromEntries(TLS_HABITS.map((habit) => [`${habit}.tls.test`, { A: [PUBLIC_2] }])),
  "xallowed.test": { A: [EVIL] },
  "allowed.test.evil.test": { A: [EVIL] },
  // Names that lead somewhere else than they should.
  "private.evil.test": { A: [PRIVATE[0]] },
  "metadata.evil.test": { A: [METADATA[0]] },
  "loopback.evil.test": { A: ["127.0.0.1"] },
  "flip.evil.test": { "A in turn": [EVIL, PRIVATE[0]] },
  "cloaked.allowed.test": { CNAME: ["tracker.ads.test"] },
  "tracker.ads.test": { A: [PUBLIC_2] },
  // More than a UDP answer holds, an alias of an alias, and a name without addresses.
  "many.allowed.test": { A: Array.from({ length: 90 }, (_, n) => `198.18.1.${n + 1}`) },
  "deep.allowed.test": { CNAME: ["alias.allowed.test"] },
  "text.allowed.test": { TXT: ["no address here"] },
} as const;

/** The attacker's own resolver claims that the good names are its own. */
export const LIES = {
  [EVIL]: { "api.allowed.test": { A: [EVIL] }, "evil.test": { A: [EVIL] } },
} as const;
