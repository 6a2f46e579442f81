/**
 * Guests of Lima's: Lima's part is played by a client that makes its calls, everything else is real: the
 * driver, sbx, QEMU, and a guest that finds its address by DHCP.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { connectionsAreClosed, processesOf } from "../support/host_state.ts";
import {
  isAlive,
  type LimaHost,
  type LimaTestInstance,
  openLimaHost,
  type Role,
} from "../support/lima/host.ts";
import type { LimactlClient } from "../support/limactl.ts";
import { say } from "../support/peer.ts";
import {
  EVIL,
  HOST_ANY_PORT,
  HOST_LOOPBACK_PORT,
  PORT,
  PUBLIC,
  PUBLIC_6,
} from "../support/places.ts";
import { until } from "../support/process.ts";
import { contacts } from "../support/recorder.ts";
import { openWorld, type World } from "../support/world.ts";

let world: World;
let host: LimaHost;
beforeAll(async () => {
  world = await openWorld();
  host = await openLimaHost(world);
});
afterAll(() => world?.[Symbol.asyncDispose]());

const GATEWAY = "192.168.5.2";
const QEMU = process.arch === "arm64" ? "qemu-system-aarch64" : "qemu-system-x86_64";
const PUBLISHED = 8088;
const TRUST = "--ca /etc/ssl/certs/ca-certificates.crt";

/** A policy file, where the user can read it. */
function policy(text: string): string {
  const path = join(world.scratch, `policy-${text.length}.yaml`);
  writeFileSync(path, text);
  return path;
}

async function started(instance: LimaTestInstance): Promise<LimactlClient> {
  const lima = await instance.open();
  await instance.prepare(lima);
  await lima.call("CreateDisk");
  const { success, error } = await lima.start().first;
  expect([success, error]).toEqual([true, ""]);
  return lima;
}

/** As the hostagent does at its end. */
async function leave(instance: LimaTestInstance, lima: LimactlClient): Promise<void> {
  await lima.end("leave");
  const driver = instance.family().get("driver");
  if (driver !== undefined) process.kill(driver, "SIGTERM");
  await until("the driver's end", () => instance.family().size === 0);
}

describe("a guest under a policy", () => {
  let instance: LimaTestInstance;
  let lima: LimactlClient;
  beforeAll(async () => {
    const file = policy(`
default: {outbound: deny, inbound: allow}
denyWith: reject
rules: ["allow@allowed.test:tcp:80,443"]
tls: {intercept: true, upstreamCa: [${world.ca}]}
`);
    instance = host.instance("ruled", {
      vmOpts: {
        sbx: {
          policy: file,
          publish: [`${PUBLISHED}:8080`],
          log: true,
          stopTimeout: "500ms",
        },
      },
    });
    lima = await started(instance);
  }, 60_000);
  afterAll(async () => {
    await lima?.call("Stop");
    if (lima !== undefined) await leave(instance, lima);
  });

  test("finds its address, its resolver and the MTU by DHCP, and has one card", async () => {
    const { stdout } = await instance.ssh(
      "ls /sys/class/net; ip -4 -o addr show eth0; ip route; cat /etc/resolv.conf; " +
        "grep -E '^(serverid|lease|mtu)=' /run/lease; cat /sys/class/net/eth0/mtu; " +
        "until ip -6 -o addr show eth0 | grep fd73; do sleep 0.2; done",
    );
    expect(stdout).toMatch(/^eth0\nlo\n/);
    expect(stdout).toContain("inet 192.168.5.15/24");
    expect(stdout).toContain(`default via ${GATEWAY} dev eth0`);
    expect(stdout).toContain(`nameserver ${GATEWAY}\n`);
    expect(stdout).toContain(`serverid='${GATEWAY}'`);
    expect(stdout).toContain("\n1500\n");
    expect(stdout).toMatch(/inet6 fd73:6278::5055:55ff:/);
  }, 60_000);

  test("reaches what the rules name, and its name is what they go by", async () => {
    const get = (url: string) =>
      instance.ssh(`timeout 10 webclient get --http 1 ${TRUST} --url ${url}`);
    expect((await get("http://allowed.test/")).stdout).toContain(`${PUBLIC}:80 as allowed.test`);
    for (const url of ["http://evil.test/", `http://${EVIL}/`, "https://xallowed.test/"]) {
      expect((await get(url)).status).not.toBe(0);
    }
    // The address of the allowed name, by another name.
    const { status, stdout } = await instance.ssh(
      `wget -q -O - --header 'Host: evil.test' http://${PUBLIC}/`,
    );
    expect([status, stdout]).toEqual([1, ""]);
    expect(contacts(await world.internet.report(), [EVIL])).toEqual({});
  }, 60_000);

  test("trusts who answers for the servers that are intercepted", async () => {
    const { stdout, stderr } = await instance.ssh(
      `webclient get ${TRUST} --url https://allowed.test/`,
    );
    expect([stderr, stdout]).toEqual([
      "",
      expect.stringContaining(`${PUBLIC}:443 as allowed.test`),
    ]);
    const journal = readFileSync(join(instance.dir, "sbx.jsonl"), "utf8");
    expect(journal).toMatch(/"event":"request".*"host":"allowed.test"/);
    const key = join(instance.dir, "sbx-authority.pem");
    expect(statSync(key).mode & 0o777).toBe(0o600);
  }, 60_000);

  test("has a published port, and nothing of the gateway or this machine but names", async () => {
    const answer = await say(world, "127.0.0.1", PUBLISHED, "GET / HTTP/1.0\\r\\n\\r\\n");
    expect(answer).toContain("hello from the guest");
    const ports = [1, 22, 53, 67, 80, 111, 443, 3128, 8080, instance.port, HOST_ANY_PORT];
    const { stdout } = await instance.ssh(
      ports.map((port) => `nc -w 1 ${GATEWAY} ${port} </dev/null && echo ${port} is open`).join(
        ";",
      ),
    );
    expect(stdout).toBe("53 is open\n");
    await instance.ssh(`nc -w 1 ${GATEWAY} ${HOST_LOOPBACK_PORT} </dev/null`);
    expect((await world.host.report()).accepts).toEqual({});
  }, 60_000);

  test("is in a network namespace without anything, and its driver is its user's alone", () => {
    const qemu = instance.family().get("qemu") ?? -1;
    const devices = readFileSync(`/proc/${qemu}/net/dev`, "utf8").trim().split("\n").slice(2);
    expect(devices.map((line) => line.trim().split(":")[0])).toEqual(["lo"]);
    const { mode } = statSync(join(instance.dir, "sbx.drv.sock"));
    expect(mode & 0o077).toBe(0);
  });
});

test("under `none` Lima gets in, and nothing gets out", async () => {
  const instance = host.instance("closed", {
    vmOpts: { sbx: { policy: "none", log: true, stopTimeout: "1s" } },
  });
  const lima = await started(instance);
  await world.internet.reset();
  const { stdout } = await instance.ssh(
    `echo in; timeout 2 wget -q -O - http://${PUBLIC}/; timeout 2 webclient get ${TRUST} --url https://allowed.test/; ` +
      `nc -w 1 ${PUBLIC} ${PORT.banner} </dev/null; ping -c 1 -W 1 ${PUBLIC} | grep received; ` +
      "until ip -6 -o addr show eth0 | grep -q fd73; do sleep 0.2; done; " +
      `timeout 2 wget -q -O - 'http://[${PUBLIC_6}]/'; ping -6 -c 1 -W 1 ${PUBLIC_6} | grep received; ` +
      // Which sends a datagram to port 33435.
      `for to in ${PUBLIC} 239.255.255.250 192.168.5.3; do traceroute -f 64 -m 64 -q 1 -w 1 $to; done >/dev/null`,
  );
  // It tried, by each way.
  const journal = readFileSync(join(instance.dir, "sbx.jsonl"), "utf8").trim().split("\n");
  const denied = journal.map((line) => JSON.parse(line)).filter(({ event }) => event === "denied");
  expect(denied.map(({ protocol, destination }) => `${protocol} ${destination}`)).toEqual(
    expect.arrayContaining([
      `tcp ${PUBLIC}:80`,
      `tcp ${PUBLIC}:${PORT.banner}`,
      `tcp [${PUBLIC_6}]:80`,
      `icmpv4 ${PUBLIC}`,
      `icmpv6 ${PUBLIC_6}`,
      `udp ${PUBLIC}:33435`,
    ]),
  );
  const lost = "1 packets transmitted, 0 packets received, 100% packet loss\n";
  expect(stdout).toBe(`in\n${lost}${lost}`);
  const { accepts, packets } = await world.internet.report();
  expect([accepts, packets]).toEqual([{}, {}]);
  expect(await instance.status()).toBe("Running");
  expect((await lima.call("Stop")).error).toBe("");
  await leave(instance, lima);
  expect(await instance.status()).toBe("Stopped");
}, 90_000);

/** The promise: whatever ends, the rest has ended this many seconds later. */
const GONE_WITHIN = 2;

describe.each(["driver", "sbx", "netstack", "watchdog", "qemu", "hostagent"] as const)(
  "kill -9 of %s",
  (victim) => {
    test("ends the guest and all that it had, and it starts again", async () => {
      const instance = host.instance(`killed-${victim}`, {
        vmOpts: { sbx: { policy: "allow-all", publish: [`${PUBLISHED}:8080`], stopTimeout: "1s" } },
      });
      const lima = await started(instance);
      const family = instance.family();
      expect([...family.keys()].sort()).toEqual(["driver", "netstack", "qemu", "sbx", "watchdog"]);
      if (victim === "hostagent") await lima.end("kill");
      else process.kill(family.get(victim) ?? -1, "SIGKILL");
      const kept: readonly Role[] = victim === "driver" || victim === "hostagent" ? [] : ["driver"];
      const left = () => [...family].filter(([, pid]) => isAlive(pid)).map(([role]) => role);
      await until(
        "the rest to end",
        () => left().every((role) => kept.includes(role)),
        GONE_WITHIN,
      );
      expect(left()).toEqual([...kept]);
      expect(await instance.status()).toBe("Stopped");
      expect((await host.sbx("ls", "-q", "--filter", "status=running")).stdout).toBe("");
      if (victim !== "hostagent") await lima.end("kill");
      await until("its ports to close", () => connectionsAreClosed(world));
      const again = await started(instance);
      expect(await instance.status()).toBe("Running");
      await again.call("Stop");
      await leave(instance, again);
      expect(processesOf(world)).toEqual([]);
    }, 60_000);
  },
);

test("a QEMU that has another card than netstack's is ended before its guest runs", async () => {
  const directory = join(world.scratch, "wrapped");
  mkdirSync(directory);
  const { stdout: real } = await world.run(["sh", "-c", `command -v ${QEMU}`]);
  const script = `#!/bin/sh\nexec ${real.trim()} "$@" -nic user\n`;
  writeFileSync(join(directory, QEMU), script, { mode: 0o755 });
  const instance = host.instance("wrapped", { vmOpts: { sbx: { policy: "allow-all" } } });
  const lima = await instance.open({ PATH: `${directory}:${process.env["PATH"]}` });
  await instance.prepare(lima);
  await lima.call("CreateDisk");
  const { success, error } = await lima.start().first;
  expect(success).toBe(false);
  expect(error).toMatch(
    /^Cannot let the guest run: .*adds devices; QEMU does not have exactly one/,
  );
  expect([...instance.family().keys()]).toEqual(["driver"]);
  await leave(instance, lima);
}, 60_000);

test(
  "what leads around the policy is refused before the guest starts, and when it does",
  async () => {
    const instance = host.instance("refused", { networks: [{ lima: "user-v2" }], plain: false });
    const lima = await instance.open();
    await instance.prepare(lima);
    const reason =
      /Cannot run Lima's instance refused: networks lists a network that nobody would judge/;
    for (const method of ["Validate", "Create"]) {
      const { success, error } = await lima.call(method);
      expect([success, error]).toEqual([false, expect.stringMatching(reason)]);
    }
    await lima.call("CreateDisk");
    const { first, over } = lima.start();
    const { success, error } = await first;
    expect([success, error]).toEqual([false, expect.stringMatching(reason)]);
    expect((await over).some((answer) => answer.success)).toBe(false);
    expect([...instance.family().keys()]).toEqual(["driver"]);
    await leave(instance, lima);
  },
  60_000,
);
