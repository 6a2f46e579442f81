/**
 * Names that are known here: what is answered, what is judged, and that no resolver hears of any.
 */
import { expect, test } from "bun:test";
import { parseHostsFile } from "../../lib/dns/hosts_file.ts";
import { KnownNames } from "../../lib/dns/known_names.ts";
import { parseResolvConf } from "../../lib/dns/resolv_conf.ts";
import { publicOnly } from "../../lib/policy/model/presets.ts";
import { a, dataOf, extendedError, openLab, policyOf, rcode, setOf } from "./fixture.ts";

const HOSTS = `
127.0.0.1 localhost
127.0.1.1 box.corp.test box
::1 ip6-localhost ip6-loopback
ff02::1 ip6-allnodes
0.0.0.0 ads.test
10.9.9.9\tintranet  db.corp.test # the database
93.184.216.50 Site.Allowed.TEST site
93.184.216.51 site.allowed.test
2606:2800:220::34 six.allowed.test
93.184.216.60 box.example.test other-of-box
fe80::1%eth0 zoned.test
10.0.0.1 bad..name *.wild.test ok.test
no address here.test
`;

const known = (more = {}) =>
  new KnownNames({
    guest: "Sandbox",
    user: [
      { name: "db", address: "10.9.9.8" },
      { name: "db", address: "fd12::9" },
      { name: "ads.listed.test", address: "93.184.216.70" },
      { name: "host.docker.internal", address: "host-gateway" },
      { name: "six.allowed.test", address: "93.184.216.71" },
    ],
    gateway: "192.168.127.1",
    hosts: parseHostsFile(HOSTS, "box"),
    search: ["corp.test", "example.test"],
    ...more,
  });

test("a hosts file is read but for what it says of its own machine", () => {
  const entries = parseHostsFile(HOSTS, "BOX.corp.test").map(({ name, address }) =>
    `${name} ${address.text}`
  );
  expect(entries).toEqual([
    "intranet 10.9.9.9",
    "db.corp.test 10.9.9.9",
    "site.allowed.test 93.184.216.50",
    "site 93.184.216.50",
    "site.allowed.test 93.184.216.51",
    "six.allowed.test 2606:2800:220::34",
    "ok.test 10.0.0.1",
  ]);
});

test("a resolver's configuration is read as C libraries read it", () => {
  const read = (text: string) => parseResolvConf(text);
  expect(read("nameserver 9.9.9.9\n nameserver\t::1\r\nnameserver fe80::1%eth0\nnameserver x\n"))
    .toEqual({ nameservers: ["9.9.9.9", "::1", "fe80::1%eth0"], search: [] });
  const search = (text: string) => read(text).search;
  expect(search("domain a.test\nsearch B.test c.test\n")).toEqual(["b.test", "c.test"]);
  expect(search("search b.test\ndomain a.test extra.test")).toEqual(["a.test"]);
  expect(search("search .")).toEqual([]);
  expect(search("# search a.test\n;search b.test\nsearching c.test")).toEqual([]);
  expect(search(`search ${"a.test ".repeat(20)}`).length).toBe(6);
  expect(search("search good.test bad..test $(x) \u001b[2J x\ty.test")).toEqual([
    "good.test",
    "x",
    "y.test",
  ]);
});

test("the guest's own name is the guest, whatever the policy, with and without a search list", async () => {
  await using lab = await openLab(policyOf("deny"), [], { known: known() });
  for (const name of ["sandbox", "SANDBOX", "sandbox."]) {
    expect(dataOf(await lab.ask(name))).toEqual(["127.0.1.1"]);
    expect(dataOf(await lab.ask(name, "AAAA"))).toEqual(["::1"]);
    const other = await lab.ask(name, "MX");
    expect([rcode(other), dataOf(other)]).toEqual(["NOERROR", []]);
  }
  for (const name of ["sandbox.corp.test", "sandbox.example.test"]) {
    for (const type of ["A", "AAAA"]) expect(rcode(await lab.ask(name, type))).toBe("NXDOMAIN");
  }
  expect([lab.server.received, lab.pins.size.pins]).toEqual([[], 0]);
  expect(new Set(lab.events.map(({ verdict }) => verdict))).toEqual(new Set(["answered"]));
});

test("an added name has its addresses, pins them, and is asked of nobody", async () => {
  for (const policy of [publicOnly(), policyOf("deny"), policyOf("deny", "deny@any:udp:53")]) {
    await using lab = await openLab(policy, [a("db", "1.2.3.4")], { known: known() });
    expect(dataOf(await lab.ask("db"))).toEqual(["10.9.9.8"]);
    expect(dataOf(await lab.ask("db", "AAAA"))).toEqual(["fd12::9"]);
    expect(dataOf(await lab.ask("host.docker.internal"))).toEqual(["192.168.127.1"]);
    expect(dataOf(await lab.ask("six.allowed.test"))).toEqual(["93.184.216.71"]);
    for (const type of ["AAAA", "UNKNOWN_65", "MX", "TXT"]) {
      const reply = await lab.ask("six.allowed.test", type);
      expect([rcode(reply), dataOf(reply)]).toEqual(["NOERROR", []]);
    }
    expect(rcode(await lab.ask("db.corp.test.corp.test"))).toBe("NXDOMAIN");
    expect(lab.pins.has("db", "10.9.9.8")).toBe(true);
    expect(lab.pins.has("db", "fd12::9")).toBe(true);
    expect(lab.server.received.filter(({ packet }) => packet.questions?.[0]?.name === "db"))
      .toEqual([]);
  }
});

test("an added name is no more than its deny and its block leave of it", async () => {
  const policy = policyOf("allow", "deny@db.");
  await using lab = await openLab(policy, [], { known: known(), blocked: setOf(".listed.test") });
  expect(extendedError(await lab.ask("db"))).toBe("18 rule 0: deny@db.");
  expect(extendedError(await lab.ask("ads.listed.test"))).toBe("15 blocked-name: .listed.test");
  expect([lab.server.received, lab.pins.size.pins]).toEqual([[], 0]);
});

test("names of the hosts file are judged as a resolver's answers are", async () => {
  await using lab = await openLab(publicOnly(), [], { known: known() });
  expect(dataOf(await lab.ask("site.allowed.test"))).toEqual(["93.184.216.50", "93.184.216.51"]);
  expect(dataOf(await lab.ask("site"))).toEqual(["93.184.216.50"]);
  expect([...lab.pins.namesOf("93.184.216.50")]).toEqual(["site.allowed.test", "site"]);
  // Inside, and no rule opens it: the guest learns no address, and the user which one it was.
  const reply = await lab.ask("intranet");
  expect([rcode(reply), dataOf(reply), extendedError(reply)]).toEqual([
    "NXDOMAIN",
    [],
    "15 rebind",
  ]);
  expect(lab.events.at(-1)).toMatchObject({ reason: "rebind", detail: "10.9.9.9" });
  expect(lab.pins.has("intranet", "10.9.9.9")).toBe(false);
  expect(lab.server.received).toEqual([]);

  await using opened = await openLab(
    policyOf("deny", "allow@10.9.9.9:tcp:80", "allow@intranet."),
    [],
    {
      known: known(),
    },
  );
  expect(dataOf(await opened.ask("intranet"))).toEqual(["10.9.9.9"]);
  expect(opened.pins.has("intranet", "10.9.9.9")).toBe(true);
  expect(extendedError(await opened.ask("site.allowed.test"))).toBe("18 default");
  await using off = await openLab(publicOnly(), [], { known: known(), rebindProtection: false });
  expect(dataOf(await off.ask("intranet"))).toEqual(["10.9.9.9"]);
  await using blocked = await openLab(policyOf("allow"), [], {
    known: known(),
    blocked: setOf("site.allowed.test"),
  });
  expect(rcode(await blocked.ask("site.allowed.test"))).toBe("NXDOMAIN");
  for (const { server } of [opened, off, blocked]) expect(server.received).toEqual([]);
});

test("what the hosts file says of its own machine is no answer", async () => {
  await using lab = await openLab(publicOnly(), [a("ads.test", "93.184.216.80")], {
    known: known(),
  });
  expect(dataOf(await lab.ask("ads.test"))).toEqual(["93.184.216.80"]);
  for (const name of ["box", "ip6-allnodes", "ip6-localhost"]) {
    expect([name, rcode(await lab.ask(name))]).toEqual([name, "NXDOMAIN"]);
  }
  expect(lab.server.asked).toEqual(["ads.test"]);
});

test("a name that is not known is asked for, also below a search domain", async () => {
  await using lab = await openLab(publicOnly(), [a("www.corp.test", "93.184.216.90")], {
    known: known(),
  });
  expect(dataOf(await lab.ask("www.corp.test"))).toEqual(["93.184.216.90"]);
  expect(rcode(await lab.ask("intranet.example.test"))).toBe("NXDOMAIN");
  expect(lab.server.asked).toEqual(["www.corp.test", "intranet.example.test"]);
});
