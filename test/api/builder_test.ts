import { expect, test } from "bun:test";
import { NetworkBuilder } from "../../lib/api/network_builder.ts";
import { quote } from "../../lib/base/escape.ts";
import {
  Destination,
  type ErrorCode,
  NetworkPolicy,
  Rule,
  Sandbox,
  type SandboxBuilder,
  SbxError,
} from "../../lib/mod.ts";

test("an untouched builder means the defaults", () => {
  const options = Sandbox.builder().build();
  expect(options.cpus).toBe(1);
  expect(options.memoryMiB).toBe(1024);
  expect(options.network.policy).toEqual(NetworkPolicy.publicOnly());
  expect(options.network.dns.rebindProtection).toBe(true);
});

test("builders are values: a call leaves the one it was made on as it was", () => {
  const base = Sandbox.builder().env("A", "1");
  const one = base.env("B", "2").network((network) => network.policy(NetworkPolicy.none()));
  const other = base.env("A", "3");
  expect(base.build().env).toEqual({ A: "1" });
  expect(one.build().env).toEqual({ A: "1", B: "2" });
  expect(other.build().env).toEqual({ A: "3" });
  expect(base.build().network.policy.network).toBe(true);
});

test("own rules stand before those of the policy, in the order of the calls", () => {
  const { policy } = new NetworkBuilder()
    .allow("api.example.com:443")
    .policy(NetworkPolicy.publicOnly())
    .deny("private:22")
    .rule(Rule.allowInbound(Destination.any()))
    .rule("deny@.example.net:udp")
    .build();
  expect(policy.rules.slice(0, 4).map(({ action, direction }) => `${action} ${direction}`)).toEqual(
    [
      "allow outbound",
      "deny outbound",
      "allow inbound",
      "deny outbound",
    ],
  );
  expect(policy.rules.slice(4)).toEqual([...NetworkPolicy.publicOnly().rules]);
});

test("none has no network device until a rule allows something", () => {
  const none = new NetworkBuilder().policy(NetworkPolicy.none());
  expect(none.build().policy.network).toBe(false);
  expect(none.deny("any").build().policy.network).toBe(false);
  expect(none.allow("api.example.com").build().policy).toMatchObject({
    network: true,
    defaults: { outbound: "deny", inbound: "deny" },
  });
});

test("calls add to what the policy file says of names, and replace its settings", async () => {
  const file = await NetworkPolicy.parse(
    "default: deny\ndns: {block: [a.example], rebindProtection: false, timeoutMs: 100}\nmaxConnections: 5",
    "lan.yaml",
  );
  const options = new NetworkBuilder()
    .policy(file)
    .blockDomain("B.example")
    .blockDomainSuffix(".c.example")
    .blockList("ads.txt")
    .dnsServers(["9.9.9.9", "[2620:fe::fe]:5353"])
    .dnsTimeout(900)
    .newFlowsPerSecond(7)
    .build();
  expect(options.dns).toEqual({
    block: ["a.example", "b.example"],
    blockSuffix: ["c.example"],
    blockLists: [{ path: "ads.txt", as: "name" }],
    blockDoh: false,
    rebindProtection: false,
    servers: ["9.9.9.9:53", "[2620:fe::fe]:5353"],
    timeoutMs: 900,
  });
  expect([options.maxConnections, options.newFlowsPerSecond]).toEqual([5, 7]);
});

test("added hosts stand before those of the policy file, whatever their spelling", async () => {
  const file = await NetworkPolicy.parse(
    "default: deny\ndns: {hosts: ['A.Example:10.0.0.1', 'm.example=host-gateway']}",
    "lan.yaml",
  );
  const { dns } = new NetworkBuilder()
    .addHost("DB.", "10.0.0.5")
    .policy(file)
    .addHost("db", "[2001:DB8::5]")
    .addHost("six", "2001:db8:0::6")
    .build();
  expect(dns.hosts).toEqual([
    { name: "db", address: "10.0.0.5" },
    { name: "db", address: "2001:db8::5" },
    { name: "six", address: "2001:db8::6" },
    { name: "a.example", address: "10.0.0.1" },
    { name: "m.example", address: "host-gateway" },
  ]);
  expect(new NetworkBuilder().build().dns.hosts).toBeUndefined();
  expect(() => new NetworkBuilder().addHost("db", "\u001b[2J")).toThrow(
    /^Cannot use addHost\("db", "\\u[ -~]+"\): "\\u[ -~]+" is no address$/,
  );
});

test("configuring TLS turns interception on, and adds to what the policy file says", async () => {
  const file = await NetworkPolicy.parse(
    "default: deny\ntls: {intercept: false, bypass: [a.example], verifyUpstream: false, trustHostCas: true}",
    "lan.yaml",
  );
  const network = new NetworkBuilder().policy(file);
  expect(network.build().tls).toMatchObject({ intercept: false, trustHostCas: true });
  const { tls } = network
    .tls((t) => t.bypass("*.B.example").interceptedPorts([8443, 443, 8443]).upstreamCaCert("u.pem"))
    .tls((t) => t.verifyUpstreamExcept("::ffff:10.0.0.1", "c.example").opaque().idleTimeout(60_000))
    .tls((t) => t.interceptCaCert("ca.pem").interceptCaKey("ca.key"))
    .build();
  expect(tls).toEqual({
    intercept: true,
    ports: [443, 8443],
    bypass: ["a.example", ".b.example"],
    blockQuic: true,
    authority: { cert: "ca.pem", key: "ca.key" },
    upstreamCa: ["u.pem"],
    verifyUpstream: false,
    noVerify: ["10.0.0.1", "c.example"],
    trustHostCas: true,
    opaque: true,
    idleMs: 60_000,
  });
  expect(network.tls((t) => t.intercept(false).opaque()).build().tls.intercept).toBe(false);
  for (const ms of [0, -1, 0.5, NaN, Infinity, 2 ** 31]) {
    expect(() => network.tls((t) => t.idleTimeout(ms))).toThrow("is no idle time");
  }
  expect(new NetworkBuilder().trustHostCas().build().tls).toMatchObject({
    intercept: false,
    trustHostCas: true,
  });
});

test("custom policies deny what they do not mention", () => {
  expect(NetworkPolicy.custom({}).defaults).toEqual({ outbound: "deny", inbound: "deny" });
  expect(NetworkPolicy.custom({ defaults: "allow" }).defaults.inbound).toBe("allow");
  expect(NetworkPolicy.custom({ defaults: { inbound: "allow" } }).defaults).toEqual({
    outbound: "deny",
    inbound: "allow",
  });
});

test("every misuse is an SbxError that names the call", () => {
  const builder = Sandbox.builder();
  const network = new NetworkBuilder();
  const publication = { hostPort: 1, guestPort: 2, protocol: "tcp" } as const;
  const refused: readonly (readonly [() => unknown, string])[] = [
    [() => builder.cpus(0), "cpus(0)"],
    [() => builder.memory(1), "memory(1)"],
    [() => builder.name("no spaces"), 'name("no spaces")'],
    [() => builder.mount("", "/x"), 'mount("", "/x")'],
    [() => builder.mount(".", "x"), 'mount(".", "x")'],
    [() => builder.env("A=B", ""), 'env("A=B")'],
    [() => builder.workdir("x"), 'workdir("x")'],
    [() => builder.timeout(0), "timeout(0)"],
    [() => network.maxConnections(0), "maxConnections(0)"],
    [() => network.newFlowsPerSecond(1.5), "newFlowsPerSecond(1.5)"],
    [() => network.dnsTimeout(-1), "dnsTimeout(-1)"],
    [() => network.dnsServers(["resolver"]), 'dnsServers("resolver")'],
    [() => network.blockDomain("10.0.0.1"), 'blockDomain("10.0.0.1")'],
    [() => network.blockDomainSuffix(".com"), 'blockDomainSuffix(".com")'],
    [() => network.denyWith("ignore" as "drop"), 'denyWith("ignore")'],
    [() => network.publish({ ...publication, guestPort: 0 }), "publish(1 to 0)"],
    [() => network.publish({ ...publication, bind: "localhost" }), "publish(1 to 2)"],
    [
      () => network.policy(NetworkPolicy.none()).publish(publication).build(),
      "publish port 1 to 2",
    ],
    [() => network.tls((t) => t.bypass("10.0.0.1")), 'bypass("10.0.0.1")'],
    [() => network.tls((t) => t.bypass("*.com")), 'bypass("*.com")'],
    [() => network.tls((t) => t.verifyUpstreamExcept("x y")), 'verifyUpstreamExcept("x y")'],
    [() => network.tls((t) => t.interceptedPorts([])), "interceptedPorts()"],
    [() => network.tls((t) => t.interceptedPorts([443, 0])), "interceptedPorts(443, 0)"],
    [() => network.tls((t) => t.interceptCaCert("a")).build(), 'interceptCaCert("a")'],
    [() => network.tls((t) => t.interceptCaKey("a")).build(), 'interceptCaKey("a")'],
    [() => network.rule("example.com@allow"), "example.com@allow"],
    [() => network.allow("10.0.0.0/33"), "10.0.0.0/33"],
  ];
  for (const [call, name] of refused) {
    expect(call).toThrow(SbxError);
    expect(call).toThrow(name);
  }
});

test("a refused argument's error has the call and the state apart, whatever the argument spells", () => {
  const network = new NetworkBuilder();
  const odd = "a): Cannot use cpus(0): \u001b[2J";
  const calls: readonly (readonly [string, string, () => unknown])[] = [
    ["USAGE", "cpus(0)", () => Sandbox.builder().cpus(0)],
    ["USAGE", `name(${quote(odd)})`, () => Sandbox.builder().name(odd)],
    ["USAGE", `user(${quote("a b")})`, () => Sandbox.builder().user("a b")],
    ["USAGE", `blockDomain(${quote(odd)})`, () => network.blockDomain(odd)],
    ["POLICY_INVALID", `dnsServers(${quote(odd)})`, () => network.dnsServers([odd])],
    ["POLICY_INVALID", `addHost(${quote(odd)}, "::1")`, () => network.addHost(odd, "::1")],
    ["POLICY_INVALID", `bypass(${quote("::1")})`, () => network.tls((tls) => tls.bypass("::1"))],
  ];
  for (const [code, call, refused] of calls) {
    const error = thrown(refused);
    expect([error.code, error.call]).toEqual([code as ErrorCode, call]);
    expect(error.message).toBe(`Cannot use ${call}: ${error.state}`);
  }
});

function thrown(call: () => unknown): SbxError {
  try {
    call();
  } catch (error) {
    if (error instanceof SbxError) return error;
  }
  throw new Error("it was not refused");
}

test("a disk has a size in bytes or with a unit, and a file when it is to be kept", () => {
  const disk = (...call: Parameters<SandboxBuilder["disk"]>) =>
    Sandbox.builder().disk(...call).build().disk;
  expect(disk("1.5G")).toEqual({ bytes: 1.5 * 1024 ** 3 });
  expect(disk(1)).toEqual({ bytes: 128 * 1024 ** 2 });
  expect(disk("4T", { path: "box.disk" })).toEqual({ bytes: 4 * 1024 ** 4, path: "box.disk" });
  for (const size of ["", "20", "G", "-1G", "0G", "5T", 0, -1, NaN, Infinity]) {
    expect(() => disk(size)).toThrow(/^Cannot use disk\(/);
  }
  expect(() => disk("1G", { path: "" })).toThrow(/empty/);
  expect(() => disk("1G", { file: "x" } as never)).toThrow(SbxError);
});
