/**
 * Flows and questions under four settings, for a comparison of what a simulation says with what comes of
 * them.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import type { FirstWords } from "../../lib/judge/first_bytes.ts";
import type { SimulatedServer } from "../../lib/judge/session.ts";
import type { Policy, Protocol } from "../../lib/policy/model/policy.ts";
import { allowAll, publicOnly } from "../../lib/policy/model/presets.ts";
import { NO_SECRETS, type SecretSettings } from "../../lib/policy/model/secret.ts";
import { DEFAULT_DNS } from "../../lib/policy/model/settings.ts";
import { DEFAULT_TLS, type TlsSettings } from "../../lib/policy/model/tls_settings.ts";
import { parseRule } from "../../lib/policy/text/grammar.ts";
import { parseSecret } from "../../lib/policy/text/secret_declaration.ts";
import type { NetworkOptions } from "../../lib/sandbox/options.ts";
import { queryFor } from "../dns/fixture.ts";
import {
  EVIL,
  HOST_ADDRESSES,
  HOST_ANY_PORT,
  HOST_LOOPBACK_PORT,
  METADATA,
  PRIVATE,
  PUBLIC,
  PUBLIC_2,
  PUBLIC_6,
  SHARED,
} from "../support/places.ts";
import vectors from "../vectors/client_hellos.json" with { type: "json" };

/** A flow, with what its guest says first. */
export interface FlowRow {
  readonly to: readonly [protocol: Protocol, address: string, port: number];
  readonly says: FirstWords;
}

/** A request in an intercepted session, made by curl. */
export interface RequestRow {
  readonly sni: string;
  readonly at: string;
  readonly host: string;
  readonly http: "1.1" | "2";
  readonly server?: SimulatedServer;
}

export interface Setting {
  readonly what: string;
  readonly network: NetworkOptions;
  /** Resolved before any flow, with what they resolve to. */
  readonly names: Readonly<Record<string, string>>;
  readonly flows: readonly FlowRow[];
  readonly requests: readonly RequestRow[];
  /** Asked after all flows, with what resolvers say. */
  readonly questions: Readonly<Record<string, string>>;
}

const DENY = { outbound: "deny", inbound: "deny" } as const;
const NOTHING = { kind: "nothing" } as const;
const tls = (sni?: string, ...alpn: readonly string[]) =>
  ({ kind: "tls", alpn, ...(sni === undefined ? {} : { sni }) }) as const;
const http = (host: string) => ({ kind: "http", host }) as const;
const bytes = (text: string) => ({ kind: "bytes", bytes: Buffer.from(text, "latin1") }) as const;
const query = { kind: "bytes", bytes: queryFor("files.allowed.test") } as const;
/** An encrypted ClientHello, whose outer name is public.cdn.test. */
const encrypted = {
  kind: "bytes",
  bytes: Buffer.from(
    vectors.find(({ client }) => client.includes("encrypted"))?.bytes ?? "",
    "base64",
  ),
} as const;

function tcp(address: string, port: number, says: FirstWords = NOTHING): FlowRow {
  return { to: ["tcp", address, port], says };
}

function udp(address: string, port: number, says: FirstWords = NOTHING): FlowRow {
  return { to: ["udp", address, port], says };
}

function ping(address: string): FlowRow {
  return { to: [address.includes(":") ? "icmpv6" : "icmpv4", address, 0], says: NOTHING };
}

function network(
  policy: Policy,
  rules: readonly string[],
  settings: {
    readonly blocked?: readonly string[];
    readonly tls?: Partial<TlsSettings>;
    readonly secrets?: SecretSettings;
  } = {},
): NetworkOptions {
  const { blocked = [], tls, secrets = NO_SECRETS } = settings;
  return {
    policy: { ...policy, rules: [...rules.map(parseRule), ...policy.rules], denyWith: "reject" },
    dns: { ...DEFAULT_DNS, blockSuffix: blocked },
    tls: tls === undefined ? DEFAULT_TLS : { ...DEFAULT_TLS, intercept: true, ...tls },
    publish: [],
    secrets,
  };
}

const API = "api.allowed.test";

/** The environment has to have it. */
export const SECRET = "JUDGED_TOKEN";

/** `ca`: the file with the authority of the fake internet's servers. */
export const settingsWith = (ca: string): readonly Setting[] => [
  {
    what: "public addresses only, and a block list",
    network: network(publicOnly(), ["allow@172.20.0.5:tcp:80"], { blocked: ["ads.test"] }),
    names: { [API]: PUBLIC },
    flows: [
      tcp(PUBLIC, 443, tls(API)),
      tcp(PUBLIC, 443, tls("files.allowed.test")),
      tcp(PUBLIC, 80, http(API)),
      tcp(PUBLIC, 7, bytes("hello\n")),
      tcp(PUBLIC, 22),
      tcp(PUBLIC, 443, tls("tracker.ads.test")),
      tcp(PUBLIC, 80, http("tracker.ads.test")),
      tcp(PUBLIC, 80, bytes("GET /x\r\n\r\n")),
      tcp(PUBLIC_6, 443, tls(API)),
      ...PRIVATE.map((address) => tcp(address, 80)),
      ...METADATA.slice(0, 2).map((address) => tcp(address, 80)),
      ...HOST_ADDRESSES.map((address) => tcp(address, HOST_ANY_PORT)),
      tcp("192.168.127.1", HOST_LOOPBACK_PORT),
      tcp("fd73:6278::1", HOST_LOOPBACK_PORT),
      tcp("240.0.0.1", 80),
      tcp(PUBLIC, 853),
      udp(PUBLIC, 853),
      udp(PUBLIC, 53, query),
      udp(PUBLIC, 7),
      udp(PRIVATE[0], 7),
      ping(PUBLIC),
      ping(PRIVATE[0]),
    ],
    requests: [],
    questions: {
      "private.evil.test": PRIVATE[0],
      "metadata.evil.test": METADATA[0],
      "tracker.ads.test": PUBLIC_2,
      "printer.local": PUBLIC,
      "evil.test": EVIL,
      "guest": "",
    },
  },
  {
    what: "an allow list of names",
    network: network({ ...allowAll(), defaults: DENY }, [
      `allow@${API}:tcp:443`,
      "allow@good.cdn.test:tcp:80,443",
      "allow@host:tcp:9001",
    ]),
    names: { [API]: PUBLIC, "good.cdn.test": SHARED },
    flows: [
      tcp(PUBLIC, 443, tls(API)),
      tcp(PUBLIC, 443, tls()),
      tcp(PUBLIC, 443, encrypted),
      tcp(PUBLIC, 80, http(API)),
      tcp(PUBLIC, 443, tls("evil.test")),
      tcp(PUBLIC, 443, tls("good.cdn.test")),
      tcp(PUBLIC, 443, http("evil.test")),
      tcp(SHARED, 443, tls("good.cdn.test")),
      tcp(SHARED, 443, tls("bad.cdn.test")),
      tcp(SHARED, 443, tls(API)),
      tcp(SHARED, 80, http("good.cdn.test")),
      tcp(SHARED, 80, http("bad.cdn.test")),
      tcp(SHARED, 80, http(API)),
      tcp(SHARED, 80, bytes("GET / HTTP/1.1\r\nHost: good.cdn.test\r\nHost: evil.test\r\n\r\n")),
      tcp(SHARED, 80, bytes("\u0016\u0003\u0001\u0000\u0000")),
      tcp(EVIL, 443, tls(API)),
      tcp(EVIL, 80, http("good.cdn.test")),
      tcp("192.168.127.1", HOST_LOOPBACK_PORT),
      tcp("192.168.127.1", HOST_ANY_PORT),
      tcp(HOST_ADDRESSES[0], HOST_ANY_PORT),
      udp(PUBLIC, 443),
      ping(PUBLIC),
    ],
    requests: [],
    questions: { "evil.test": EVIL, "files.allowed.test": PUBLIC_2, "bad.cdn.test": SHARED },
  },
  {
    what: "interception",
    network: network(allowAll(), ["deny@bad.cdn.test"], {
      tls: { ports: [443, 8443], bypass: [API], upstreamCa: [ca] },
    }),
    names: { [API]: PUBLIC, "good.cdn.test": SHARED },
    flows: [
      tcp(PUBLIC, 443, tls(API)),
      tcp(EVIL, 443, tls(API)),
      tcp(SHARED, 443, tls("good.cdn.test")),
      tcp(SHARED, 8443, tls("good.cdn.test", "h2", "http/1.1")),
      tcp(SHARED, 443, tls("good.cdn.test", "imap")),
      tcp(SHARED, 443, tls("bad.cdn.test")),
      tcp(SHARED, 443, bytes("SSH-2.0-OpenSSH_9.9\r\n")),
      tcp(SHARED, 443, http("good.cdn.test")),
      tcp(SHARED, 993, tls("good.cdn.test")),
      tcp(SHARED, 80, http("good.cdn.test")),
      tcp(SHARED, 80, http("bad.cdn.test")),
      udp(SHARED, 443),
      udp(SHARED, 8443),
      udp(SHARED, 444),
    ],
    requests: [
      { sni: "good.cdn.test", at: SHARED, host: "good.cdn.test", http: "1.1" },
      { sni: "good.cdn.test", at: SHARED, host: "good.cdn.test", http: "2" },
      { sni: "good.cdn.test", at: SHARED, host: "bad.cdn.test", http: "1.1" },
      { sni: "good.cdn.test", at: SHARED, host: "bad.cdn.test", http: "2" },
      {
        sni: "expired.tls.test",
        at: PUBLIC_2,
        host: "expired.tls.test",
        http: "1.1",
        server: { kind: "untrusted", why: "expired" },
      },
    ],
    questions: { "bad.cdn.test": SHARED },
  },
  {
    what: "a secret",
    network: network(allowAll(), ["deny@bad.cdn.test:tcp:8443"], {
      tls: { intercept: false, upstreamCa: [ca] },
      secrets: {
        secrets: [parseSecret(`${SECRET}@good.cdn.test,*.tls.test`)],
        onViolation: "block",
      },
    }),
    names: { [API]: PUBLIC, "good.cdn.test": SHARED },
    flows: [
      tcp(SHARED, 443, tls("good.cdn.test", "h2", "http/1.1")),
      tcp(SHARED, 8443, tls("good.cdn.test")),
      tcp(SHARED, 443, tls("good.cdn.test", "imap")),
      tcp(EVIL, 443, tls("good.cdn.test")),
      tcp(SHARED, 443, tls("bad.cdn.test")),
      tcp(SHARED, 8443, tls("bad.cdn.test")),
      tcp(SHARED, 443, tls()),
      tcp(SHARED, 443, encrypted),
      tcp(SHARED, 80, http("good.cdn.test")),
      tcp(PUBLIC, 443, tls(API)),
      tcp(PUBLIC, 443, bytes("\u0016\u0003\u0001\u0000\u0000")),
      tcp(PUBLIC, 7, bytes("hello\n")),
      tcp(PUBLIC, 22),
      udp(SHARED, 443),
      udp(PUBLIC, 443),
      udp(SHARED, 444),
    ],
    requests: [
      { sni: "good.cdn.test", at: SHARED, host: "good.cdn.test", http: "1.1" },
      { sni: "good.cdn.test", at: SHARED, host: "good.cdn.test", http: "2" },
      { sni: "good.cdn.test", at: SHARED, host: "bad.cdn.test", http: "2" },
      {
        sni: "expired.tls.test",
        at: PUBLIC_2,
        host: "expired.tls.test",
        http: "1.1",
        server: { kind: "untrusted", why: "expired" },
      },
    ],
    questions: { "bad.cdn.test": SHARED },
  },
];
