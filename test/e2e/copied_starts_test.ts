/**
 * Whatever way a guest begins with another one's disk, it has a policy, which is the one that was meant, and an
 * identity of its own; and what goes on with its own disk keeps the keys that it has made. In a fake internet.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { PUBLIC, PUBLIC_2 } from "../support/places.ts";
import { openWorld, type World } from "../support/world.ts";

let world: World;
let env: Record<string, string>;
beforeAll(async () => {
  world = await openWorld();
  env = { XDG_STATE_HOME: join(world.scratch, "state"), TOKEN: "value-of-the-token" };
}, 300_000);
afterAll(async () => {
  const names = (await world?.sbx(["ls", "-aq"], { env }))?.stdout.trim().split("\n") ?? [];
  if (names[0] !== "") await world?.sbx(["rm", "--force", ...names], { env });
  await world?.[Symbol.asyncDispose]();
}, 60_000);
const done = async (...args: readonly string[]): Promise<string> => {
  const result = await world.sbx(args, { env });
  expect([args, result.status, result.stderr]).toEqual([args, 0, expect.anything()]);
  return result.stdout;
};

/** What a guest says of itself and of what it reaches. It makes keys where it has none, as servers do. */
const PROBE = `
import hashlib, json, os, socket
def kept(path):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if not os.path.exists(path):
        with open(path, "w") as file: file.write(os.urandom(32).hex())
    return open(path).read()
def reaches(address):
    try: socket.create_connection((address, 7), 2).close(); return True
    except OSError: return False
with open("/dev/vda", "rb") as disk:
    disk.seek(1024 + 0x68); uuid = disk.read(16).hex()
AUTHORITIES = ("/etc/ssl/certs/sbx-authority.pem", "/usr/local/share/ca-certificates/sbx-authority.crt")
found = [hashlib.sha256(open(path, "rb").read()).hexdigest() for path in AUTHORITIES if os.path.exists(path)]
print(json.dumps({
    "own": {
        "machine": open("/etc/machine-id").read().strip(),
        "boot": open("/proc/sys/kernel/random/boot_id").read().strip(),
        "random": os.getrandom(16).hex(),
        "token": os.environ.get("TOKEN"),
        "authority": found[0] if found else None,
    },
    "disk": {
        "key": kept("/etc/ssh/ssh_host_ed25519_key"),
        "seed": kept("/var/lib/systemd/random-seed"),
        "uuid": uuid,
    },
    "reaches": [reaches("${PUBLIC}"), reaches("${PUBLIC_2}")],
    "note": open("/root/note").read(),
}))
`;
const probe = ["python3", "-c", PROBE];
const SECRET = ["--secret", "TOKEN@api.allowed.test"];
const LITTLE = ["-q", "-m", "256M"];

interface Row {
  /** Answers what the guest said. */
  readonly start: () => Promise<string>;
  /** Whether it reaches the one address and the other. */
  readonly reaches: readonly [boolean, boolean];
  /** The row whose disk it goes on with. Absent: its disk is a copy. */
  readonly goesOn?: string;
  readonly hasSecret: boolean;
}

const asked = (name: string) => done("exec", name, "--", ...probe);

const ROWS: Readonly<Record<string, Row>> = {
  "the original": {
    start: async () => {
      await done(
        ...["run", "-d", ...LITTLE, "-n", "base", "--disk", "256M", "--policy", "none", ...SECRET],
        ...["--allow", `${PUBLIC}:7`, "--allow", "api.allowed.test:443", "--", "sleep", "100000"],
      );
      await done("exec", "base", "--", "sh", "-c", "echo noted > /root/note");
      return await asked("base");
    },
    reaches: [true, false],
    hasSecret: true,
  },
  "a fork of it while it runs": {
    start: async () => {
      await done("fork", "base", "fork");
      return await asked("fork");
    },
    reaches: [true, false],
    hasSecret: true,
  },
  "the original, stopped and started": {
    start: async () => {
      await done("snapshot", "base", "kept");
      await done("stop", "base");
      await done("start", "base");
      return await asked("base");
    },
    reaches: [true, false],
    goesOn: "the original",
    hasSecret: true,
  },
  "the fork, stopped and started": {
    start: async () => {
      await done("stop", "fork");
      await done("start", "fork");
      return await asked("fork");
    },
    reaches: [true, false],
    goesOn: "a fork of it while it runs",
    hasSecret: true,
  },
  "run --from": {
    start: () => done("run", ...LITTLE, "--from", "kept", "--", ...probe),
    reaches: [true, false],
    hasSecret: false,
  },
  "run --from once more, with the secret": {
    start: () => done("run", ...LITTLE, "--from", "kept", ...SECRET, "--", ...probe),
    reaches: [true, false],
    hasSecret: true,
  },
  "run --from with a rule more": {
    start: () =>
      done("run", ...LITTLE, "--from", "kept", "--allow", `${PUBLIC_2}:7`, "--", ...probe),
    reaches: [true, true],
    hasSecret: false,
  },
  "run --from with another policy": {
    start: () =>
      done(
        ...["run", ...LITTLE, "--from", "kept", "--policy", "none", "--allow", `${PUBLIC_2}:7`],
        ...["--", ...probe],
      ),
    reaches: [false, true],
    hasSecret: false,
  },
  "run --from without a network": {
    start: () => done("run", ...LITTLE, "--from", "kept", "--no-net", "--", ...probe),
    reaches: [false, false],
    hasSecret: false,
  },
  "create --from, and start": {
    start: async () => {
      await done("create", ...LITTLE, "-n", "made", "--from", "kept");
      await done("start", "made");
      return await asked("made");
    },
    reaches: [true, false],
    hasSecret: false,
  },
  "a fork of one that was given another policy, and stopped": {
    start: async () => {
      const file = join(world.scratch, "next.json");
      writeFileSync(file, JSON.stringify({ default: "deny", rules: [`allow@${PUBLIC_2}:tcp:7`] }));
      await done("policy", "apply", "made", file);
      await done("stop", "made");
      await done("fork", "made", "again");
      return await asked("again");
    },
    reaches: [false, true],
    hasSecret: false,
  },
};

interface Answer {
  readonly own: Readonly<Record<string, string | null>>;
  readonly disk: Readonly<Record<string, string>>;
  readonly reaches: readonly boolean[];
  readonly note: string;
}

const answers = new Map<string, Answer>();

test.each(Object.keys(ROWS))("%s", async (name) => {
  const row = ROWS[name];
  if (row === undefined) throw new TypeError(name);
  const answer: Answer = JSON.parse(await row.start());
  expect(answer).toMatchObject({ reaches: row.reaches, note: "noted\n" });
  const { token, authority, ...others } = answer.own;
  expect([typeof token, typeof authority]).toEqual(
    row.hasSecret ? ["string", "string"] : ["object", "object"],
  );
  expect(JSON.stringify(answer)).not.toContain(env["TOKEN"] ?? "none");
  const own = [...Object.values(others), ...(row.hasSecret ? [token, authority] : [])];
  const before = [...answers.values()];
  const seen = before.flatMap(({ own }) => Object.values(own));
  for (const each of own) {
    expect((each ?? "").length).toBeGreaterThanOrEqual(32);
    expect(seen).not.toContain(each);
  }
  if (row.goesOn !== undefined) {
    expect(answer.disk).toEqual(answers.get(row.goesOn)?.disk ?? {});
  } else {
    const others = before.flatMap(({ disk }) => Object.values(disk));
    for (const each of Object.values(answer.disk)) expect(others).not.toContain(each);
  }
  answers.set(name, answer);
}, 300_000);
