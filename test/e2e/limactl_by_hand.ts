/**
 * `sbx lima` on Lima's own limactl, with a guest as distributions make them. scripts/test-lima runs this: where
 * guests are emulated it takes minutes.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { debianTemplate } from "../support/lima/debian_template.ts";
import { isAlive, type LimaHost, openLimaHost } from "../support/lima/host.ts";
import { realLimactl } from "../support/lima/real_limactl.ts";
import { PUBLIC } from "../support/places.ts";
import { type Run, type Running, start, until } from "../support/process.ts";
import { openWorld, type World } from "../support/world.ts";

const LIMIT_MS = 3_600_000;
const VALUE = "value-of-the-key";
const MEMBER = "member.test";

let world: World;
let host: LimaHost;
let template: string;
let policy: string;
beforeAll(async () => {
  world = await openWorld({
    members: { [MEMBER]: { field: "authorization", value: `Bearer ${VALUE}` } },
  });
  host = await openLimaHost(world, [realLimactl()]);
  template = host.file("template.yaml", JSON.stringify(debianTemplate(world)));
  const key = host.file("key", VALUE);
  chmodSync(key, 0o600);
  policy = host.file(
    "policy.yaml",
    `default: {outbound: deny, inbound: deny}
denyWith: reject
rules: ["allow@${MEMBER}:tcp:443"]
tls: {intercept: false, upstreamCa: [${world.ca}]}
secrets: [{name: API_KEY, hosts: [${MEMBER}], source: "file:${key}"}]
`,
  );
}, LIMIT_MS);
afterAll(() => world?.[Symbol.asyncDispose]());

/** Lima takes KVM where its device is, whoever may open it: its guests are emulated here, as sbx's are in the suite. */
const EMULATED = "QEMU_SYSTEM_X86_64=qemu-system-x86_64 -machine q35,vmport=off,accel=tcg -cpu max";

const words = (args: readonly string[]): string[] => //
["env", EMULATED, join(host.home, "sbx"), ...args];

const sbx = (...args: readonly string[]): Promise<Run> => host.run(words(args), { limit: 3_000 });

async function ok(...args: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await sbx(...args);

  expect([args.join(" "), status, status === 0 ? "" : stderr]).toEqual([args.join(" "), 0, ""]);
  return stdout;
}

type Role = "driver" | "sbx" | "netstack" | "watchdog" | "qemu" | "hostagent";

const ROLES: readonly (readonly [Role, RegExp])[] = [
  ["driver", /^[^\0]*\/lima-driver-[^\0/]*\0.*--inst-dir\0/],
  ["sbx", /\0lima-guest\0run\0/],
  ["netstack", /netstack[^\0/]*\0serve\0/],
  ["watchdog", /netstack[^\0/]*\0watch\0/],
  ["qemu", /^[^\0]*qemu-system/],
  ["hostagent", /limactl\0hostagent\0/],
];

/** What runs for guests on the host of this world. */
function family(): ReadonlyMap<Role, number> {
  const found = new Map<Role, number>();
  for (const entry of readdirSync("/proc")) {
    try {
      const pid = Number(entry);
      if (!isAlive(pid)) continue;
      if (!readFileSync(`/proc/${pid}/environ`, "latin1").includes(`HOME=${host.home}\0`)) {
        if (!readFileSync(`/proc/${pid}/cmdline`, "latin1").includes(world.scratch)) continue;
      }
      const argv = readFileSync(`/proc/${pid}/cmdline`, "latin1");
      const role = ROLES.find(([, pattern]) => pattern.test(argv))?.[0];
      if (role !== undefined) found.set(role, pid);
    } catch {
      // It ended while it was looked at.
    }
  }
  return found;
}

describe.each(
  [
    ["sbx", ["driver", "sbx", "hostagent", "netstack", "watchdog", "qemu"]],
    ["qemu", ["sbx", "hostagent", "netstack", "watchdog", "qemu"]],
  ] as const,
)("a guest that Lima starts by its driver %s", (driver, roles) => {
  const name = `by-${driver}`;
  const home = driver === "sbx" ? ".lima" : ".local/share/sbx/lima-homes";
  const inside = (command: string) => ok("exec", name, "--", "sh", "-c", command);

  test("is made and started, and entered by Lima", async () => {
    // Where the machine has other things to do, a first boot takes longer than Lima's ten minutes.
    const patience = ["--start-timeout", "50m"];
    await ok("lima", "start", name, template, "--driver", driver, "--policy", policy, ...patience);
    expect(await ok("lima", "ls")).toMatch(new RegExp(`^${name} +Running +127.0.0.1:`, "m"));
    expect(await ok("lima", "shell", name, "sh", "-c", "id -un; ls /sys/class/net")).toBe(
      "tester\neth0\nlo\n",
    );
  }, LIMIT_MS);

  test("has commands and files by sbx", async () => {
    expect(await inside("id -u; cat /sys/class/net/eth0/mtu")).toBe("0\n1500\n");
    await ok("cp", policy, `${name}:/tmp/in`);
    expect(await inside("wc -c </tmp/in")).toBe(`${readFileSync(policy).length}\n`);
    const out = join(host.home, `out-${name}`);
    await ok("cp", `${name}:/etc/hostname`, out);
    expect(readFileSync(out, "utf8").trim()).toBe(`lima-${name}`);
  }, LIMIT_MS);

  test("reaches what its policy allows, with the secret, and nothing else", async () => {
    await world.internet.reset();
    expect(
      await inside(`curl -sS -o /dev/null -w '%{http_code}' https://${MEMBER}/whoami \
-H "Authorization: Bearer $API_KEY"`),
    ).toBe("200");
    const { letters } = await world.internet.report();
    expect(letters.map(({ fields }) => fields["authorization"])).toEqual([[`Bearer ${VALUE}`]]);
    // Lima's own shells have the placeholder, too.
    expect(await ok("lima", "shell", name, "sh", "-lc", "echo $API_KEY")).toMatch(
      /^sbx-placeholder-/,
    );
    const get = "curl -sS -m 20 http://allowed.test/";
    expect((await sbx("exec", name, "--", "sh", "-c", get)).status).not.toBe(0);
    const { spec } = JSON.parse(await ok("inspect", name));
    const wider = { ...spec.policy, rules: [...spec.policy.rules, "allow@allowed.test:tcp:80"] };
    await ok("policy", "apply", name, host.file(`wider-${name}.json`, JSON.stringify(wider)));
    expect(await inside(get)).toContain(`${PUBLIC}:80 as allowed.test`);
  }, LIMIT_MS);

  test("stands its proof, and keeps Lima's way in", async () => {
    const { findings } = JSON.parse(await ok("doctor", "--json", name));
    expect(findings.filter(({ state }: { state: string }) => state !== "ok")).toEqual([]);
    expect(findings.map(({ name }: { name: string }) => name)).toContain("inside");
    const ports = await ok("port", "ls", name);
    expect(ports).toMatch(/->22 \(Lima's SSH\)$/m);
    const port = /:(\d+)->/.exec(ports)?.[1] ?? "";
    expect((await sbx("port", "rm", name, port)).stderr).toContain("Lima reaches the guest's SSH");
  }, LIMIT_MS);

  test("powers off, and nothing of it is left running", async () => {
    await ok("lima", "stop", name);
    await until("their end", () => family().size === 0, 30);
    expect(await ok("lima", "ls")).toMatch(new RegExp(`^${name} +Stopped`, "m"));
    expect(await ok("ls", "-a")).toMatch(new RegExp(`^${name} +stopped`, "m"));
  }, LIMIT_MS);

  test.each([...roles])("kill -9 of its %s ends it, and it starts again", async (role) => {
    const isThere = existsSync(join(host.home, home, name));
    const making = isThere ? [] : [template, "--driver", driver, "--policy", policy];
    const starting: Running = start(
      host.as(words(["lima", "start", name, ...making])),
      { limit: 3_000 },
    );
    await until("all of it", () => roles.every((one) => family().has(one)), 120);
    const runs = new RegExp(`^${name} +running`, "m");
    await until("its sandbox", async () => runs.test((await sbx("ls")).stdout), 60);
    const qemu = family().get("qemu") ?? -1;
    process.kill(family().get(role) ?? -1, "SIGKILL");
    await until("QEMU's end", () => !isAlive(qemu), 2);
    // Nobody tells limactl of the end of its hostagent, nor the hostagent of the driver's: they wait their ten minutes.
    if (role === "hostagent" || role === "driver") starting.kill("SIGINT");
    expect((await starting.ended).status).not.toBe(0);
    await sbx("lima", "stop", "--force", name); // as Lima says when a hostagent left its files
    await until("their end", () => family().size === 0, 30);
  }, LIMIT_MS);

  test("is removed, and forgotten", async () => {
    await ok("lima", "rm", "--force", name);
    expect(await ok("lima", "ls")).not.toContain(name);
    expect(await ok("ls", "-aq")).not.toContain(name);
    expect(existsSync(join(host.home, home, name))).toBe(false);
    await until("their end", () => family().size === 0, 30);
  }, LIMIT_MS);
});
