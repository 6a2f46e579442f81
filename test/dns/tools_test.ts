/**
 * The same questions, asked with the tools that people use, through sbx and of its upstream directly. The
 * upstream is a real server (dnsmasq), so that three implementations have to agree.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { afterAll, beforeAll, expect, test } from "bun:test";
import { Pins } from "../../lib/dns/pins.ts";
import { createDns } from "../../lib/dns/service.ts";
import { createUpstream } from "../../lib/dns/upstream.ts";
import { type DnsFront, serveDns } from "../support/dns_front.ts";
import { freePort } from "../support/free_port.ts";
import { run, until } from "../support/process.ts";
import { nameSnapshot, policyOf } from "./fixture.ts";

/** Types by number and data, for those that the server has no option for. */
const RAW: Readonly<Record<string, readonly [number, string]>> = {
  HINFO: [13, "02504305 4c494e5558"],
  RP: [17, "05 61646d696e 04 74657374 00 00"],
  AFSDB: [18, "0001 02 6e73 04 74657374 00"],
  LOC: [29, "00 12 16 13 8b0d2ef8 80fdc4e8 00989f28"],
  KX: [36, "000a 02 6e73 04 74657374 00"],
  CERT: [37, "0001 0002 08 0102030405"],
  DS: [43, "ec45 05 01 2bb183af5f22588179a53b0a98631fad1a292118"],
  SSHFP: [44, "04 02 123456789abcdef67890123456789abcdef67890123456789abcdef123456789"],
  DNSKEY: [48, "0100 03 0d 0102030405060708"],
  DHCID: [49, "000001 0102030405"],
  TLSA: [52, "03 01 01 0c72ac70b745ac19998811b131d662c9ac69dbdbe7cb23e5b514b56664c5d3d6"],
  SMIMEA: [53, "03 01 01 0c72ac70b745ac19998811b131d662c9ac69dbdbe7cb23e5b514b56664c5d3d6"],
  CDS: [59, "ec45 05 01 2bb183af5f22588179a53b0a98631fad1a292118"],
  CDNSKEY: [60, "0100 03 0d 0102030405060708"],
  OPENPGPKEY: [61, "0102030405"],
  ZONEMD: [
    63,
    "00000001 01 01 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f",
  ],
  SVCB: [64, "0001 02 6e73 04 74657374 00 0001 0004 03646f74 0003 0002 0355"],
  HTTPS: [65, "0001 00 0001 0006 026832 026833 0004 0004 5db8d822 0005 0004 00020909"],
  SPF: [99, "0b 763d73706631202d616c6c"],
  EUI48: [108, "00 00 5e 00 53 2a"],
  EUI64: [109, "00 00 5e ef 10 00 00 2a"],
  URI: [256, "000a 0001 68747470733a2f2f6170692e746573742f"],
  TYPE258: [258, "03 616263"],
  TYPE65400: [65400, "0a0b0c0d"],
};

const NAME = "all.test";
const OWN = ["A", "AAAA", "NS", "SOA", "PTR", "MX", "TXT", "SRV", "NAPTR", "CAA", "CNAME", "DNAME"];
const TYPES = [...OWN, ...Object.keys(RAW)];

/** Names with something particular about them. */
const NAMES = [
  "alias.test",
  "deep.test",
  "missing.test",
  "many.test",
  "aLL.tEsT",
  "x.wild.test",
];

let server: ChildProcess;
let front: DnsFront;
let port: number;

beforeAll(async () => {
  port = await freePort();
  const long = "x".repeat(200);
  const records = [
    `--host-record=${NAME},93.184.216.34,2606:2800:220::34`,
    ...Array.from({ length: 60 }, (_, n) => `--address=/many.test/93.184.216.${n + 1}`),
    "--address=/wild.test/93.184.216.40",
    ...Array.from({ length: 20 }, (_, n) => `--txt-record=many.test,${n}${long}`),
    `--cname=alias.test,${NAME}`,
    `--cname=deep.test,alias.test`,
    `--mx-host=${NAME},mail.test,10`,
    `--mx-host=${NAME},mail2.test,20`,
    `--txt-record=${NAME},v=spf1 -all,second string`,
    `--srv-host=${NAME},ns.test,5060,10,60`,
    `--ptr-record=${NAME},ns.test`,
    `--naptr-record=${NAME},100,10,S,SIP+D2U,!^.*$!sip:x@all.test!,_sip.test`,
    `--caa-record=${NAME},0,issue,ca.test`,
    ...Object.values(RAW).map(([number, data]) =>
      `--dns-rr=${NAME},${number},${data.replaceAll(" ", "")}`
    ),
  ];
  const options = [
    "--no-resolv",
    "--no-hosts",
    "--local=/test/",
    "--bind-interfaces",
    "--local-ttl=60",
  ];
  server = spawn("dnsmasq", [
    "--keep-in-foreground",
    "--conf-file=/dev/null",
    "--pid-file=",
    `--port=${port}`,
    "--listen-address=127.0.0.1",
    "--user=",
    ...options,
    ...records,
  ], { stdio: ["ignore", "ignore", "inherit"] });
  const dns = createDns({
    snapshot: () => nameSnapshot(policyOf("allow")),
    pins: new Pins(),
    upstream: createUpstream({ resolvers: [{ address: "127.0.0.1", port }] }),
  });
  front = await serveDns(dns);
  await until("dnsmasq", async () => (await dig(port, "+short", NAME, "A")).includes("93.184"));
});
afterAll(() => {
  front?.close();
  server?.kill();
});

async function dig(port: number, ...args: readonly string[]): Promise<string> {
  const { stdout } = await run([
    "dig",
    "@127.0.0.1",
    "-p",
    `${port}`,
    "+time=10",
    "+tries=1",
    ...args,
  ]);
  return stdout;
}

async function kdig(port: number, ...args: readonly string[]): Promise<string> {
  const { stdout, stderr } = await run([
    "kdig",
    "@127.0.0.1",
    "-p",
    `${port}`,
    "+time=10",
    ...args,
  ]);
  return stdout + stderr.replace(/^;; WARNING: .*\n/gm, "");
}

/** Status and records, without TTLs, which run down in the meantime. */
const DIG = ["+noall", "+comments", "+answer", "+nottlid"];
const KDIG = ["+noall", "+header", "+answer", "+nottl"];

/** Without what differs by right: the id, who is authoritative, sizes, times, and the order of records. */
function said(text: string): string[] {
  return text.split("\n")
    .map((line) => /status: \w+/.exec(line)?.[0] ?? line)
    .filter((line) => line !== "" && !line.startsWith(";"))
    .map((line) => line.replaceAll(/\s+/g, " "))
    .sort();
}

test.each(TYPES)("dig gets the same records of type %s", async (type) => {
  for (const transport of ["+notcp", "+tcp", "+noedns", "+dnssec"]) {
    const ask = (at: number) => dig(at, ...DIG, transport, NAME, type);
    const [through, direct] = [said(await ask(front.port)), said(await ask(port))];
    expect([transport, ...through]).toEqual([transport, ...direct]);
    expect([type, direct.at(-1)]).toEqual([type, "status: NOERROR"]);
  }
});

test("kdig gets the same records of every type", async () => {
  for (const type of TYPES) {
    const ask = (at: number) => kdig(at, ...KDIG, NAME, type);
    const [through, direct] = [said(await ask(front.port)), said(await ask(port))];
    expect([type, ...through]).toEqual([type, ...direct]);
    expect([type, direct.at(-1)]).toEqual([type, "status: NOERROR"]);
  }
});

test.each(NAMES)("both tools get the same for %s", async (name) => {
  for (const type of ["A", "AAAA", "TXT", "MX", "CNAME"]) {
    for (const tool of [dig, kdig]) {
      const how = tool === dig ? DIG : KDIG;
      for (const more of ["+notcp", "+tcp", "+bufsize=4096"]) {
        const ask = (at: number) => tool(at, ...how, more, name, type);
        const [through, direct] = [said(await ask(front.port)), said(await ask(port))];
        expect([type, more, ...through]).toEqual([type, more, ...direct]);
      }
    }
  }
});

test("the records are those that were put in", async () => {
  const types = TYPES.filter((type) => !["NS", "SOA", "CNAME", "DNAME"].includes(type));
  for (const type of types) {
    expect([type, (await dig(front.port, "+short", NAME, type)).trim() === ""]).toEqual([
      type,
      false,
    ]);
  }
});
