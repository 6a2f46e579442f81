/** The networks that the host's interfaces are on, as the command line knows them. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { run, until } from "../support/process.ts";
import { openWorld, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world?.[Symbol.asyncDispose]());

/** Says that 2606:4700:77::/64 is on the link, where nobody is to make an address, and no router leads out. */
const ANNOUNCE = `
import socket, struct
s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
dev = socket.if_nametoindex("dn0")
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, dev)
advert = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 0, 0, 0)
prefix = struct.pack("!BBBBIII", 3, 4, 64, 0x80, 3600, 3600, 0)
s.sendto(advert + prefix + socket.inet_pton(socket.AF_INET6, "2606:4700:77::"), ("ff02::1", 0, 0, dev))
`;

async function ip(...lines: readonly string[]): Promise<void> {
  for (const line of lines) {
    const { status, stderr } = await run(world.onHostAsRoot(["ip", ...line.split(" ")]));
    if (status !== 0) throw new Error(`ip ${line}: ${stderr}`);
  }
}

test(
  "local networks are known to `policy explain`, by addresses' prefixes and by the routes of DHCPv6",
  async () => {
    await ip("addr add 2606:4700:d::2/128 dev up0 nodad", "route add 2606:4700:d::/64 dev up0");
    const walk = async (to: string) => {
      const { stdout } = await world.sbx(["policy", "explain", "public-only", `tcp://${to}`]);
      return stdout.trim().split("\n").at(-1);
    };
    const denied = "deny: rule 6, deny@local-network";
    expect(await walk("151.101.9.1:80")).toBe(denied);
    expect(await walk("[2606:4700:9::99]:80")).toBe(denied);
    expect(await walk("[2606:4700:d::99]:80")).toBe(denied);
    expect(await walk("151.101.9.4:80")).toMatch(/^allow/);
    expect(await walk("[2606:4700:e::99]:80")).toMatch(/^allow/);
    // A tunnel's routes may be to all of the internet.
    await ip(
      "link add wg type veth peer name wg1",
      "addr add 10.66.0.2/32 dev wg",
      "addr add 2a00:66::2/128 dev wg nodad",
      "link set wg up",
      "link set wg1 up",
      "route add 2000::/3 dev wg metric 5000",
      "route add 128.0.0.0/1 dev wg metric 5000",
    );
    expect(await walk("[2606:4700:e::99]:80")).toMatch(/^allow/);
    expect(await walk("151.101.9.4:80")).toMatch(/^allow/);
    await ip("link del wg", "addr del 2606:4700:d::2/128 dev up0");
  },
  60_000,
);

test(
  "a network that a router announces is local, though this machine has no address in it",
  async () => {
    const explain = async () => {
      const to = "tcp://[2606:4700:77::99]:80";
      return (await world.sbx(["policy", "explain", "public-only", to])).stdout;
    };
    expect(await explain()).toMatch(/^allow/m);
    const accept = "echo 2 > /proc/sys/net/ipv6/conf/up0/accept_ra";
    expect((await run(world.onHostAsRoot(["sh", "-c", accept]))).status).toBe(0);
    await until("the announcement", async () => {
      await run(world.outside(["python3", "-c", ANNOUNCE]));
      return (await run(world.onHostAsRoot(["ip", "-6", "route"]))).stdout.includes(
        "2606:4700:77::/64",
      );
    });
    expect(await explain()).toMatch(/^deny: rule 6, deny@local-network/m);
  },
  60_000,
);
