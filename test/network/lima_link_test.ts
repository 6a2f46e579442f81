/**
 * The cable of a guest without our agent: what real DHCP clients and the kernel make of what the gateway
 * says, and that there is nobody else on it.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type NamespaceGuest, openNamespaceGuest } from "../support/namespace_guest.ts";
import { PUBLIC } from "../support/places.ts";
import { until } from "../support/process.ts";
import { openWorld, type World } from "../support/world.ts";

const GATEWAY = "192.168.5.2";

let world: World;
let guest: NamespaceGuest;
beforeAll(async () => {
  world = await openWorld();
  guest = await openNamespaceGuest(world, { policy: "public-only", unconfigured: true });
});
afterAll(async () => {
  await guest?.[Symbol.asyncDispose]();
  await world?.[Symbol.asyncDispose]();
});
afterEach(() => guest.run(["ip", "-4", "addr", "flush", "dev", "eth0"]));

/** Each client's, with the words by which it tells its script what it was given. */
const CLIENTS = {
  busybox: {
    argv: (
      script: string,
    ) => ["busybox", "udhcpc", "-i", "eth0", "-n", "-q", "-R", "-O", "mtu", "-s", script],
    when: "bound",
    says: "$ip $mask $router $dns $mtu $serverid",
    release: [],
  },
  dhclient: {
    argv: (script: string) => [...files("/usr/sbin/dhclient"), "-1", "-sf", script, "eth0"],
    when: "BOUND",
    says: "$new_ip_address $new_subnet_mask $new_routers $new_domain_name_servers " +
      "$new_interface_mtu $new_dhcp_server_identifier",
    release: (script: string) => [...files("/usr/sbin/dhclient"), "-r", "-sf", script, "eth0"],
  },
} as const;

function files(program: string): string[] {
  const at = (name: string) => join(world.scratch, name);
  return [program, "-4", "-v", "-lf", at("leases"), "-pf", at("pid")];
}

/** Writes down what the client was given, and puts the address and the route in place. */
function script(name: keyof typeof CLIENTS): { readonly path: string; readonly given: string } {
  const path = join(world.scratch, `${name}.sh`);
  const given = join(world.scratch, `${name}.given`);
  const { when, says } = CLIENTS[name];
  const text = `#!/bin/sh
case "\${1-}\${reason-}" in ${when}) ;; *) exit 0 ;; esac
echo "${says}" >${given}
set -- ${says}
ip addr add "$1/24" dev eth0
ip link set eth0 mtu "$5"
ip route add default via "$3"
`;
  writeFileSync(path, text);
  chmodSync(path, 0o755);
  return { path, given };
}

describe.each(Object.keys(CLIENTS) as (keyof typeof CLIENTS)[])("%s", (name) => {
  test("is given the one address, and its farewell is no flow", async () => {
    const { path, given } = script(name);
    const { argv, release } = CLIENTS[name];
    await guest.run(["ip", "link", "set", "eth0", "mtu", "1400"]);
    const got = await guest.run(argv(path));
    expect([got.status, got.status === 0 ? "" : got.stderr]).toEqual([0, ""]);
    const told = (await world.run(["cat", given])).stdout.trim().split(" ");
    expect([told[0], ...told.slice(2)]).toEqual([
      "192.168.5.15",
      GATEWAY,
      GATEWAY,
      "1500",
      GATEWAY,
    ]);
    expect((await guest.run(["ip", "link", "show", "eth0"])).stdout).toContain(" mtu 1500 ");
    const names = await guest.run(["dig", "+short", `@${GATEWAY}`, "allowed.test"]);
    expect(names.stdout).toBe(`${PUBLIC}\n`);
    const { stdout } = await guest.run(["curl", "-sS", `http://${PUBLIC}/`]);
    expect(stdout).toStartWith(`hello from ${PUBLIC}:80`);
    if (typeof release === "function") await guest.run(release(path));
    expect(guest.denials).toEqual([]);
  });
});

test("the kernel makes itself an IPv6 address and a way out of what the router says", async () => {
  await until("an address", async () => {
    const { stdout } = await guest.run(["ip", "-6", "-o", "addr", "show", "dev", "eth0"]);
    return /fd73:6278::5055:55ff:fe00:1\/64(?!.*tentative)/.test(stdout);
  });
  const { stdout } = await guest.run(["ip", "-6", "route", "show", "default"]);
  expect(stdout).toMatch(/^default via fe80::1 dev eth0 proto ra /);
  const names = await guest.run(["dig", "+short", "@fd73:6278::1", "allowed.test"]);
  expect(names.stdout).toBe(`${PUBLIC}\n`);
});

test("nothing of the gateway answers but the resolver, and nobody else is on the cable", async () => {
  await guest.run(["ip", "addr", "add", "192.168.5.15/24", "dev", "eth0"]);
  const knock = `
import socket
for host in ${JSON.stringify([GATEWAY, "192.168.5.1", "192.168.5.3", "192.168.5.15"])}:
    for port in (22, 53, 67, 80, 443, 60022):
        s = socket.socket(); s.settimeout(0.3)
        if s.connect_ex((host, port)) == 0: print(host, port)
        s.close()
`;
  expect((await guest.run(["python3", "-c", knock])).stdout).toBe(`${GATEWAY} 53\n`);
  const asked = await guest.run(["dig", "+time=1", "+tries=1", "@192.168.5.3", "allowed.test"]);
  expect(asked.status).not.toBe(0);
});
