/**
 * A guest of Lima's as one of the named sandboxes: Lima's part is played by a client that makes its calls,
 * everything else is real, the SSH by which commands and files get in among it.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  closeSync,
  existsSync,
  openSync,
  readFileSync,
  rmSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import process from "node:process";
import {
  isAlive,
  type LimaHost,
  type LimaTestInstance,
  openLimaHost,
} from "../support/lima/host.ts";
import type { LimactlClient, Started } from "../support/limactl.ts";
import { say } from "../support/peer.ts";
import { PUBLIC } from "../support/places.ts";
import { until } from "../support/process.ts";
import { openWorld, type World } from "../support/world.ts";

const LIMIT_MS = 240_000;
const NAME = "dev.box";
const VALUE = "value-of-the-key";
const MEMBER = "member.test";
const TRUST = "--ca /etc/ssl/certs/ca-certificates.crt";

let world: World;
let host: LimaHost;
let instance: LimaTestInstance;
let lima: LimactlClient;
let guest: Started;

beforeAll(async () => {
  world = await openWorld({
    members: { [MEMBER]: { field: "authorization", value: `Bearer ${VALUE}` } },
  });
  host = await openLimaHost(world);
  const key = host.file("key", VALUE);
  chmodSync(key, 0o600);
  const policy = host.file(
    "policy.yaml",
    `default: {outbound: deny, inbound: deny}
denyWith: reject
rules: ["allow@${MEMBER}:tcp:443"]
tls: {intercept: false, upstreamCa: [${world.ca}]}
secrets: [{name: API_KEY, hosts: [${MEMBER}], source: "file:${key}"}]
`,
  );
  instance = host.instance(NAME, { vmOpts: { sbx: { policy, log: true, stopTimeout: "500ms" } } });
  await start();
}, LIMIT_MS);
afterAll(async () => {
  await lima?.end("kill");
  await world?.[Symbol.asyncDispose]();
});

async function start(): Promise<void> {
  lima = await instance.open();
  await instance.prepare(lima);
  await lima.call("CreateDisk");
  guest = lima.start();
  const { success, error } = await guest.first;
  expect([success, error]).toEqual([true, ""]);
}

/** By another hostagent, as the one before went with its guest. */
async function restart(): Promise<void> {
  await leave();
  await start();
}

async function leave(): Promise<void> {
  await lima.end("leave");
  process.kill(instance.family().get("driver") ?? -1, "SIGTERM");
  await until("the driver's end", () => instance.family().size === 0);
}

async function sbx(...args: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await host.sbx(...args);
  // What a policy that is applied is worth a warning for is no matter here.
  const wrong = stderr.split("\n").filter((line) => !line.startsWith("sbx: warning: "));
  expect([args[0], status, wrong.join("\n")]).toEqual([args[0] ?? "", 0, ""]);
  return stdout;
}

const inside = (command: string) => sbx("exec", NAME, "--", "sh", "-c", command);

test("it is listed and inspected like any other, with what decides about it", async () => {
  expect(await sbx("ls")).toMatch(/^dev\.box +running \d+[sm] .*a guest of Lima's$/m);
  const inspected = JSON.parse(await sbx("inspect", NAME));
  expect(inspected).toMatchObject({
    name: NAME,
    status: "running",
    lima: instance.dir,
    spec: { policy: { rules: [`allow@${MEMBER}:tcp:443`] } },
  });
  expect(JSON.stringify(inspected)).not.toContain(VALUE);
});

describe("commands by SSH", () => {
  test(
    "have their streams, status, user, directory and variables, though inbound flows are denied",
    async () => {
      const { status, stdout, stderr } = await host.sbxWith(
        "typed",
        ...["exec", "-e", "A=b c", "-w", "/etc", NAME, "--", "sh", "-c"],
        'cat; echo " $A $PWD $(id -u)"; echo wrong >&2; exit 7',
      );
      expect([status, stdout, stderr]).toEqual([7, "typed b c /etc 0\n", "wrong\n"]);
      expect(await sbx("exec", "-u", "1234:99", NAME, "--", "id")).toBe(
        "uid=1234 gid=99\n",
      );
    },
    LIMIT_MS,
  );

  test("end by signals, are not found, and go on as jobs", async () => {
    const killed = await host.sbx("exec", NAME, "--", "sh", "-c", "kill -TERM $$");
    expect(killed.status).toBe(128 + 15);
    expect((await host.sbx("exec", NAME, "--", "no-such-program")).status).toBe(127);
    const job = (await sbx("exec", "-d", NAME, "--", "sh", "-c", "echo from a job")).trim();
    await until("the job's end", async () => / ended /.test(await sbx("ps", NAME)), 60);
    expect(await sbx("logs", "--job", job, NAME)).toBe("from a job\n");
  }, LIMIT_MS);
});

test("files go in and out", async () => {
  const from = host.file("in.bin", "x".repeat(300_000));
  await sbx("cp", from, `${NAME}:/tmp/in.bin`);
  expect(await inside("wc -c </tmp/in.bin; echo made >/tmp/out; chmod 640 /tmp/out")).toBe(
    "300000\n",
  );
  const out = join(world.scratch, "lima", "out");
  await sbx("cp", `${NAME}:/tmp/out`, out);
  expect(readFileSync(out, "utf8")).toBe("made\n");
}, LIMIT_MS);

test("the guest has a placeholder, and the host of the secret its value", async () => {
  const placeholder = (await inside("echo $API_KEY")).trim();
  expect(placeholder).toMatch(/^sbx-placeholder-[a-z2-7]{26}$/);
  // What Lima's own shells and services find is the same.
  const logins = await instance.ssh(". /etc/profile.d/sbx.sh; echo $API_KEY; cat /etc/environment");
  expect(logins.stdout).toBe(
    `${placeholder}\n#SBX-START\nAPI_KEY=${placeholder}\n#SBX-END\n`,
  );
  await world.internet.reset();
  await inside(
    `webclient get --http 1 ${TRUST} --url https://${MEMBER}/whoami --bearer "$API_KEY"`,
  );
  const { letters } = await world.internet.report();
  expect(letters.map(({ fields, status }) => [fields["authorization"], status])).toEqual([
    [[`Bearer ${VALUE}`], 200],
  ]);
  const journal = readFileSync(join(instance.dir, "sbx.jsonl"), "utf8");
  expect(journal).toContain('"event":"secret"');
  expect(journal).not.toContain(VALUE);
}, LIMIT_MS);

test("ports are published and closed", async () => {
  await sbx("policy", "apply", NAME, host.file("in.yaml", await policyOf({ inbound: "allow" })));
  expect(await sbx("port", "add", NAME, "8099:8080")).toContain("127.0.0.1:8099->8080\n");
  expect(await sbx("port", "ls", NAME)).toContain("127.0.0.1:8099->8080\n");
  const ask = () => say(world, "127.0.0.1", 8099, "GET / HTTP/1.0\\r\\n\\r\\n");
  expect(await ask()).toContain("hello from the guest");
  await sbx("port", "rm", NAME, "8099");
  expect(await sbx("port", "ls", NAME)).not.toContain("8099");
}, LIMIT_MS);

test("Lima's way in is listed as Lima's, and is not closed", async () => {
  const lima = `127.0.0.1:${instance.port}->22 (Lima's SSH)\n`;
  expect(await sbx("port", "ls", NAME)).toContain(lima);
  for (const ports of [[`${instance.port}`], [`${instance.port}/tcp`]]) {
    const { status, stdout, stderr } = await host.sbx("port", "rm", NAME, ...ports);
    expect([status, stdout, stderr]).toEqual([
      125,
      "",
      `sbx: cannot unpublish port ${instance.port}: Lima reaches the guest's SSH there\n` +
      "hint: stop the guest, which closes it\n",
    ]);
  }
  expect(await sbx("port", "ls", NAME)).toContain(lima);
  const [first] = JSON.parse(await sbx("port", "ls", "--json", NAME));
  expect(first.keptFor).toBe("lima");
  expect((await instance.ssh("echo in")).stdout).toBe("in\n");
}, LIMIT_MS);

/** The policy that it has, with something else about it. */
async function policyOf(change: { readonly inbound?: string; readonly rules?: readonly string[] }) {
  const { spec: { policy } } = JSON.parse(await sbx("inspect", NAME));
  const { inbound, rules } = change;
  return JSON.stringify({
    ...policy,
    default: { outbound: "deny", inbound: inbound ?? "deny" },
    rules: [...policy.rules, ...rules ?? []],
  });
}

test(
  "another policy holds at once, leaves Lima's way in, and holds at the next start",
  async () => {
    const get = () =>
      host.sbx("exec", NAME, "--", "webclient", "get", "--http", "1", ...[
        ...TRUST.split(" "),
        "--url",
        "http://allowed.test/",
      ]);
    expect((await get()).status).not.toBe(0);
    const wider = host.file("wider.yaml", await policyOf({ rules: ["allow@allowed.test:tcp:80"] }));
    expect(await sbx("policy", "apply", NAME, wider)).toContain("allow@allowed.test:tcp:80");
    expect((await get()).stdout).toContain(`${PUBLIC}:80 as allowed.test`);
    expect((await instance.ssh("echo in")).stdout).toBe("in\n");
    // Where it goes along with a clone.
    const changes = JSON.parse(readFileSync(join(instance.dir, "sbx-changes.yaml"), "utf8"));
    expect(changes.policy.rules).toContain("allow@allowed.test:tcp:80");
  },
  LIMIT_MS,
);

test("what it uses is measured, and its console is its log", async () => {
  const [stats] = JSON.parse(await sbx("stats", "--json", NAME));
  expect(stats.processes.map(({ name }: { readonly name: string }) => name).sort()).toEqual([
    "netstack",
    "qemu",
    "watchdog",
  ]);
  expect(stats.guest.totalBytes).toBeGreaterThan(100 << 20);
  expect(stats.network.fromGuestBytes).toBeGreaterThan(0);
  expect(await sbx("logs", NAME)).toContain("udhcpc");
}, LIMIT_MS);

test("the proof holds whenever it is asked for, from outside and inside", async () => {
  const { findings } = JSON.parse(await sbx("doctor", "--json", NAME));
  expect(findings.map(({ name, state }: { name: string; state: string }) => [name, state])).toEqual(
    [
      ["command line", "ok"],
      ["devices", "ok"],
      ["sockets", "ok"],
      ["inside", "ok"],
    ],
  );
}, LIMIT_MS);

test("people log in by sbx's own SSH as well, and its disk is said to be Lima's", async () => {
  expect(await sbx("ssh", NAME, "id", "-u")).toBe("0\n");
  for (const argv of [["snapshot", NAME, "built"], ["fork", NAME, "try"], ["diff", NAME]]) {
    const { status, stderr } = await host.sbx(...argv);
    expect([status === 0, stderr]).toEqual([
      false,
      expect.stringContaining("hint: 'sbx cp' takes files out of it"),
    ]);
  }
}, LIMIT_MS);

test("its name is no other sandbox's, and no other instance's", async () => {
  const create = await host.sbx("create", "--name", NAME);
  expect([create.status, create.stderr]).not.toEqual([0, ""]);
  expect(create.stderr).toContain("dev.box");
  await sbx("create", "--name", "taken");
  const other = host.instance("taken");
  const client = await other.open();
  await other.prepare(client);
  const { success, error } = await client.call("Validate");
  expect([success, error]).toEqual([
    false,
    expect.stringContaining("Cannot use Lima's instance taken: a sandbox has the name"),
  ]);
  await client.end("leave");
  process.kill(other.family().get("driver") ?? -1, "SIGTERM");
  await sbx("rm", "taken");
}, LIMIT_MS);

test("it is removed by Lima, who has its disk", async () => {
  const { status, stderr } = await host.sbx("rm", NAME);
  expect(status).not.toBe(0);
  expect(stderr).toContain("cannot run limactl: it is not installed");
  expect(await sbx("ls", "-q")).toBe(`${NAME}\n`);
});

test("sbx stop powers it off, and what was changed holds at its next start", async () => {
  await inside(
    "insmod /modules/virtio_blk.ko; until [ -b /dev/vda ]; do sleep 0.1; done; " +
      "printf 'QFI\\373' >/dev/vda; sync",
  );
  await sbx("stop", NAME);
  expect((await guest.over).map(({ error }) => error).filter(Boolean)).toEqual([]);
  expect(await instance.status()).toBe("Stopped");
  expect(await sbx("ls", "-a")).toMatch(/^dev\.box +stopped /m);
  await leave();
  // Lima, which asks for the disk before it looks at it, hears that it is not what it seems to be.
  lima = await instance.open();
  await instance.prepare(lima);
  expect((await lima.call("CreateDisk")).error).toContain("the disk begins as qcow2 does");
  const disk = openSync(join(instance.dir, "disk"), "r+");
  writeSync(disk, new Uint8Array(512));
  closeSync(disk);
  expect((await lima.call("CreateDisk")).error).toBe("");
  await restart();
  const { spec: { policy } } = JSON.parse(await sbx("inspect", NAME));
  expect(policy.rules).toContain("allow@allowed.test:tcp:80");
}, LIMIT_MS);

test("a guest that does not stand the proof any more is ended, and Lima hears why", async () => {
  // Root of the guest can make it look as if there were another card, but no card.
  const fake = ["eth0", "eth1"].map((card) =>
    `mkdir -p /tmp/net/${card}/device; cat /sys/class/net/eth0/address >/tmp/net/${card}/address`
  );
  await inside(`${fake.join("; ")}; mount -o bind /tmp/net /sys/class/net`);
  const { status, stdout } = await host.sbx("doctor", NAME);
  expect(status).toBe(1);
  expect(stdout).toMatch(/^missing +inside +the guest sees 2 network cards$/m);
  expect((await guest.over).map(({ error }) => error).filter(Boolean)).toEqual([
    expect.stringContaining("the guest sees 2 network cards"),
  ]);
  expect([...instance.family().keys()]).toEqual(["driver"]);
  expect(await sbx("ls", "-a")).toMatch(/^dev\.box +failed /m);
  await restart();
}, LIMIT_MS);

test("sbx kill ends it from outside, and Lima hears of it", async () => {
  const family = instance.family();
  await sbx("kill", NAME);
  expect((await guest.over).some(({ error }) => error !== "")).toBe(true);
  const left = [...family].filter(([, pid]) => isAlive(pid)).map(([role]) => role);
  expect(left).toEqual(["driver"]);
  expect(await sbx("ls", "-a")).toMatch(/^dev\.box +stopped .*signal 9/m);
}, LIMIT_MS);

test("it is forgotten when Lima removes its instance", async () => {
  expect((await lima.call("Delete")).error).toBe("");
  expect(await sbx("ls", "-aq")).toBe("");
  const home = join(world.scratch, "lima", ".local/state/sbx/sandboxes", NAME);
  expect(existsSync(home)).toBe(false);
  rmSync(instance.dir, { recursive: true });
});
