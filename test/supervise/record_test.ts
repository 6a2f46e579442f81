/** What a named sandbox is survives being written down: every setting, and no value of a secret. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import process from "node:process";
import { SbxError } from "../../lib/base/errors.ts";
import { type NetworkBuilder, NetworkPolicy, Sandbox } from "../../lib/mod.ts";
import {
  FOREVER,
  formatRecord,
  optionsOf,
  parseRecord,
  specOf,
} from "../../lib/supervise/record.ts";

const written = (spec: ReturnType<typeof specOf>, more: object = {}) =>
  formatRecord({
    sbx: "0.1.0",
    name: "dev",
    createdMs: 1,
    directory: "/work",
    life: FOREVER,
    spec,
    ...more,
  });

const NETWORKS: Readonly<Record<string, (network: NetworkBuilder) => NetworkBuilder>> = {
  "nothing": (n) => n,
  "no network": (n) => n.policy(NetworkPolicy.none()),
  "everything allowed": (n) => n.policy(NetworkPolicy.allowAll()),
  "rules of all forms": (n) =>
    n.policy(NetworkPolicy.none())
      .allow("api.example.com:443").allow(".example.org").allow("[2001:db8::/32]:80-90")
      .deny("10.0.0.0/8").rule("allow:inbound@any:tcp:8080").rule("deny@metadata").rule(
        "allow@192.0.2.1:icmp",
      ),
  "denied aloud": (n) => n.denyWith("reject"),
  "names": (n) =>
    n.blockDomain("ads.example").blockDomainSuffix("tracker.example").blockList("hosts.txt")
      .addHost("db.test", "10.0.0.5").addHost("me.test", "host-gateway")
      .dnsServers(["192.0.2.53", "[2001:db8::53]:5353"]).dnsTimeout(1_234)
      .blockDoh(true).dnsRebindProtection(false),
  "limits": (n) => n.maxConnections(17).newFlowsPerSecond(3),
  "ports": (n) =>
    n.publish({ hostPort: 8080, guestPort: 80, protocol: "tcp" })
      .publish({ bind: "0.0.0.0", hostPort: 0, guestPort: 53, protocol: "udp" }),
  "opened TLS": (n) =>
    n.tls((tls) =>
      tls.intercept().interceptedPorts([443, 8443]).bypass("bank.example").upstreamCaCert("ca.pem")
    ),
};

test.each(Object.keys(NETWORKS))("a network with %s comes back as it was", (name) => {
  const configure = NETWORKS[name] ?? ((n) => n);
  const options = Sandbox.builder("dev").network(configure).build();
  const record = parseRecord("dev", written(specOf(options)));
  const { network } = optionsOf(record, "/disk");
  const here = (path: string) => join(process.cwd(), path);
  // Paths are good wherever they are read, and all else is what it was.
  expect(network).toEqual({
    ...options.network,
    dns: {
      ...options.network.dns,
      blockLists: options.network.dns.blockLists.map((list) => ({
        ...list,
        path: here(list.path),
        place: expect.stringMatching(/^policy of dev\.json:1:\d+$/), // of the error when it is gone
      })),
    },
    tls: { ...options.network.tls, upstreamCa: options.network.tls.upstreamCa.map(here) },
  });
  // Whatever is written again is the same to the byte.
  expect(written(specOf(optionsOf(record, "/disk")))).toBe(written(specOf(options)));
});

test("a guest comes back as it was", () => {
  const options = Sandbox.builder("dev").hostname("dev.example").user("nobody:www-data").cpus(3)
    .memory(777).template(false).mount("./src", "/src", { readOnly: true })
    .mount("./own", "/own", { as: "copy" }).env("A", "1 \n2")
    .workdir("/src").timeout(1_500).journal("log.jsonl", { command: "make" }).inputs("a", "b")
    .build();
  const { network: _, ...guest } = options;
  expect(optionsOf(parseRecord("dev", written(specOf(options))), "/disk")).toMatchObject({
    ...guest,
    name: "dev.example",
    inputs: [...guest.inputs],
  });
});

test("sources of secrets are kept, and values are not", () => {
  const secret = (from: (s: Parameters<typeof build>[0]) => ReturnType<typeof build>) =>
    Sandbox.builder("dev").secret("TOKEN", from).build();
  const build = (s: import("../../lib/mod.ts").SecretBuilder) =>
    s.env("MY_TOKEN").hosts("api.example.com");
  const text = written(specOf(secret(build)));
  expect(text).toContain("MY_TOKEN");
  expect(optionsOf(parseRecord("dev", text), "/disk").network.secrets).toEqual(
    secret(build).network.secrets,
  );
  const own = secret((s) => s.value(() => "hunter2hunter2").hosts("api.example.com"));
  expect(codeOf(() => specOf(own))).toBe("USAGE");
});

test("a journal of this program's own streams is refused, and one of a file kept", () => {
  for (const path of ["/dev/stdout", "/dev/stderr", "/dev/fd/7", "/proc/self/fd/1"]) {
    expect(codeOf(() => specOf(Sandbox.builder("dev").journal(path).build()))).toBe("USAGE");
  }
  expect(specOf(Sandbox.builder("dev").journal("/dev/null").build()).journal).toBe("/dev/null");
});

test("what is damaged, or of a version that is yet to come, is told apart", () => {
  const text = written(specOf(Sandbox.builder("dev").build()));
  const messageOf = (text: string, name = "dev") => {
    try {
      return parseRecord(name, text).name;
    } catch (error) {
      return error instanceof SbxError ? `${error.code}: ${error.message}` : String(error);
    }
  };
  expect(messageOf(text)).toBe("dev");
  const damaged = "STATE_UNUSABLE: Cannot use sandbox dev: its record is damaged";
  for (const bad of ["", "{", "[]", text.slice(0, -4), text.replace('"life"', '"lives"')]) {
    expect(messageOf(bad)).toBe(damaged);
  }
  expect(messageOf(text, "other")).toContain("its record is damaged");
  const later = text.replace('"format": 1', '"format": 2').replace("0.1.0", "7.0.0");
  expect(messageOf(later)).toBe("STATE_UNUSABLE: Cannot use sandbox dev: sbx 7.0.0 wrote it");
});

function codeOf(call: () => unknown): string {
  try {
    call();
    return "none";
  } catch (error) {
    return error instanceof SbxError ? error.code : String(error);
  }
}
