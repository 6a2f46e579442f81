/**
 * Guests that Lima's own drivers run on the network of Lima's behind which sbx is. Lima's part is played by a
 * client that makes its calls, VZ by a QEMU on the same kind of socket; everything else is real.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { childrenOf, isAlive, type LimaHost, openLimaHost } from "../support/lima/host.ts";
import {
  CAN_RUN,
  machineOf,
  says,
  type TestDriver,
  UsernetInstance,
} from "../support/lima/usernet.ts";
import { EVIL, PUBLIC } from "../support/places.ts";
import { type Running, start, until } from "../support/process.ts";
import { contacts } from "../support/recorder.ts";
import { openWorld, type World } from "../support/world.ts";

const LIMIT_MS = 240_000;
const RULES = ["--policy", "none", "--deny-with", "reject", "--allow", "allowed.test"];

let world: World;
let host: LimaHost;
let count = 0;
beforeAll(async () => {
  world = await openWorld();
  host = await openLimaHost(world);
}, LIMIT_MS);
afterAll(() => world?.[Symbol.asyncDispose]());

function instance(name: string, driver: TestDriver = "qemu"): UsernetInstance {
  const place = { name, driver, port: 61_000 + ++count };
  return new UsernetInstance(host, world, host.small, place, RULES);
}

const pidFile = ({ network }: UsernetInstance) =>
  readFileSync(join(network, "usernet_sbx.pid"), "utf8");

describe.skipIf(!CAN_RUN).each(["qemu", "vz"] as const)("a guest of Lima's driver %s", (driver) => {
  let guest: UsernetInstance;
  let sbx: Running;
  let lima: Running;
  beforeAll(async () => {
    guest = instance(`ruled-${driver}`, driver);
    ({ sbx, lima } = await guest.start());
  }, LIMIT_MS);
  afterAll(() => {
    sbx?.kill();
    lima?.kill();
  });

  test("has its address by DHCP, one card, and what the rules name", async () => {
    expect((await guest.ssh("ls /sys/class/net; ip -4 -o addr show eth0")).stdout).toMatch(
      /^eth0\nlo\n.*inet 192\.168\.5\.15\/24/,
    );
    const get = (url: string) => guest.ssh(`timeout 20 wget -q -O - ${url}`);
    expect((await get("http://allowed.test/")).stdout).toContain(`${PUBLIC}:80 as allowed.test`);
    for (const url of ["http://evil.test/", `http://${EVIL}/`, "http://192.168.5.2:8080/"]) {
      expect((await get(url)).status).not.toBe(0);
    }
    expect(contacts(await world.internet.report(), [EVIL])).toEqual({});
  }, LIMIT_MS);

  test("is a sandbox like any other, and stands its proof", async () => {
    const name = `ruled-${driver}`;
    expect((await host.sbx("exec", name, "--", "echo", "in")).stdout).toBe("in\n");
    expect((await host.sbx("port", "ls", name)).stdout).toBe(
      `127.0.0.1:${guest.port}->22 (Lima's SSH)\n`,
    );
    const { findings } = JSON.parse((await host.sbx("doctor", "--json", name)).stdout);
    const outside = driver === "qemu" ? ["command line", "devices", "sockets"] : [];
    expect(
      findings.map(({ name, state }: { name: string; state: string }) => [name, state]),
    ).toEqual(["network", ...outside, "inside"].map((part) => [part, "ok"]));
  }, LIMIT_MS);

  test("leaves the place of Lima's daemon closed, and has nothing else listened to", async () => {
    expect(statSync(guest.network).mode & 0o777).toBe(0o555);
    expect(Number(pidFile(guest))).toBeGreaterThan(1);
    const ask = async (path: string, body?: string) => {
      const post = body === undefined ? [] : ["-X", "POST", "-d", body];
      const socket = ["--unix-socket", join(guest.network, "sbx_ep.sock")];
      const argv = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", ...socket, ...post];
      return (await host.run([...argv, `http://lima${path}`])).stdout;
    };
    const forward = (local: string, remote: string) =>
      ask("/services/forwarder/expose", JSON.stringify({ local, remote, protocol: "tcp" }));
    expect(await ask("/services/dhcp/leases")).toBe("200");
    expect(await forward("127.0.0.1:61999", "192.168.5.15:8080")).toBe("403");
    expect(await forward("0.0.0.0:61999", "192.168.5.15:22")).toBe("403");
    expect(await forward("127.0.0.1:61999", "127.0.0.1:22")).toBe("403");
    expect(await forward("127.0.0.1:61999", "192.168.5.15:22")).toBe("403");
    expect(await forward(`127.0.0.1:${guest.port}`, "192.168.5.15:22")).toBe("200");
    expect(await ask("/services/forwarder/expose", "{")).toBe("400");
    expect(await ask("/services/forwarder/all")).toBe("404");
    expect(await ask("/tunnel?ip=192.168.5.15&port=22", "")).toBe("404");
  }, LIMIT_MS);

  test("powers off with Lima, and sbx with it", async () => {
    const machine = machineOf(lima);
    expect((await host.sbx("stop", "--time", "1", `ruled-${driver}`)).status).toBe(0);
    await Promise.all([sbx.ended, lima.ended]);
    expect(isAlive(machine)).toBe(false);
    expect(pidFile(guest)).toBe("");
    expect(statSync(guest.network).mode & 0o777).toBe(0o555);
  }, LIMIT_MS);
});

/** The promise: whatever ends, the rest has ended this many seconds later. */
const GONE_WITHIN = 2;

describe.skipIf(!CAN_RUN)("without sbx", () => {
  const ends: readonly (readonly [
    string,
    "qemu" | "vz",
    (of: { readonly sbx: number; readonly lima: number; readonly machine: number }) => number,
  ])[] = [
    ["sbx", "qemu", ({ sbx }) => sbx],
    ["sbx", "vz", ({ sbx }) => sbx],
    ["the hostagent", "qemu", ({ lima }) => lima],
    ["QEMU", "qemu", ({ machine }) => machine],
    ["netstack", "qemu", ({ sbx }) => childOf(sbx, "serve")],
    ["netstack", "vz", ({ sbx }) => childOf(sbx, "serve")],
    ["the watchdog", "qemu", ({ sbx }) => childOf(sbx, "watch")],
  ];
  const childOf = (sbx: number, what: string) => {
    const isIt = (pid: number) =>
      readFileSync(`/proc/${pid}/cmdline`, "latin1").includes(`\0${what}\0`);
    return childrenOf(sbx).find(isIt) ?? -1;
  };
  test.each(ends)(
    "kill -9 of %s ends the guest of %s",
    async (what, driver, of) => {
      const guest = instance(`killed-${++count}`, driver);
      // Of whatever it was, the next start finds the same place.
      for (const again of what === "sbx" && driver === "qemu" ? [false, true] : [false]) {
        const { sbx, lima } = await guest.run();
        const machine = machineOf(lima);
        if (again) {
          sbx.child.stdin?.end(); // as whoever gives the start up
        } else {
          const pid = Number(pidFile(guest));
          const family = [pid, ...childrenOf(pid), hostagent(guest), machine];
          process.kill(of({ sbx: pid, lima: hostagent(guest), machine }), "SIGKILL");
          await until("the guest's end", () => !isAlive(machine), GONE_WITHIN);
          await Promise.all([sbx.ended, lima.ended]);
          await until("all the others'", () => !family.some(isAlive), GONE_WITHIN);
          continue;
        }
        await until("the guest's end", () => !isAlive(machine), GONE_WITHIN);
        await Promise.all([sbx.ended, lima.ended]);
      }
    },
    LIMIT_MS,
  );

  const hostagent = ({ dir }: UsernetInstance) => Number(readFileSync(join(dir, "ha.pid"), "utf8"));

  test("another daemon in its place is seen, and the guest is ended", async () => {
    const guest = instance("game");
    const { sbx, lima } = await guest.run();
    writeFileSync(join(guest.network, "usernet_sbx.pid"), `${process.pid}\n`);
    await until("the guest's end", () => !isAlive(machineOf(lima)), 3);
    expect((await sbx.ended).stdout).toMatch(
      /"ended","message":"Cannot go on|"ended","message":"Cannot let the guest go on: /,
    );
    await lima.ended;
  }, LIMIT_MS);

  test("a start ends with it, and Lima's part of it, and Lima is not waited for", async () => {
    const guest = instance("lost");
    const bin = join(host.home, "bin/limactl");
    const listed = { status: "Stopped", vmType: "qemu", ...guest.whole() };
    writeFileSync(join(guest.dir, "lima.yaml"), "vmType: qemu\n");
    host.own(join(guest.dir, "lima.yaml"));
    // Lima as it is while its guest boots, or its hostagent is gone.
    const script = `[ "$1" = list ] && exec echo '${JSON.stringify(listed)}'
echo "in $(pwd): $@" >>"$LIMA_HOME/asked"
[ "$1" = start ] && exec sleep 1000
exit 0`;
    writeFileSync(bin, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    const asked = () => {
      try {
        return readFileSync(join(guest.home, "asked"), "utf8");
      } catch {
        return "";
      }
    };
    // Elsewhere than where the guest's options were given, and it stays there.
    const starting = start(
      host.as(["env", "--chdir=/", join(host.home, "sbx"), "lima", "start", "lost"]),
    );
    await until("Lima to start it", () => asked() !== "", 30);
    process.kill(Number(pidFile(guest)), "SIGKILL");
    const { status, stderr } = await starting.ended;
    expect([status, stderr]).toEqual([125, expect.stringContaining("its sbx ended")]);
    expect(asked()).toBe("in /: start --tty=false lost\nin /: stop --force lost\n");
  }, LIMIT_MS);

  test("what is refused says where the rest of it stands", async () => {
    const guest = instance("refused");
    const { stdout } = await guest.serve({ mounts: [{ location: "/" }], plain: false }).ended;
    expect(stdout).toContain(`(and 1 more, see ${join(guest.dir, "sbx.stderr.log")})`);
  }, LIMIT_MS);

  test.each(
    [
      ["two-cards", "qemu", ["-nic", "user"], "its command line adds devices"],
      ["relayed", "relay", [], "QEMU's cable ends elsewhere than in netstack"],
    ] as const,
  )(
    "a QEMU with another card, or on a cable to somebody else, is ended: %s",
    async (name, driver, more, why) => {
      const guest = instance(name, driver);
      const sbx = guest.serve();
      await until("sbx to listen", () => says(sbx, "listening"), 30);
      const lima = guest.plugIn(...more);
      const { stdout, status } = await sbx.ended;
      expect(status).not.toBe(0);
      expect(stdout).toContain(`"refused","message":"Cannot let the guest run: ${why}`);
      await lima.ended;
      expect(isAlive(machineOf(lima))).toBe(false);
    },
    LIMIT_MS,
  );
});
