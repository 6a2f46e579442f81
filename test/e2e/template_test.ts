/**
 * Guests that go on from a template: that they are as fresh as those that boot, that every rule holds for
 * them, that nothing of anybody is in what is kept, and that what is damaged is not used.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { lockFile } from "../../lib/host/file_lock.ts";
import { EVIL, PUBLIC } from "../support/places.ts";
import { run, type RunOptions, start, until } from "../support/process.ts";
import { contacts } from "../support/recorder.ts";
import { openWorld, SBX, type World } from "../support/world.ts";

/** In every place that the making could take something from. */
const PLANT = `plant-${randomBytes(12).toString("hex")}`;

const place = mkdtempSync(join(tmpdir(), `sbx-template-${PLANT}-`));
const cache = join(place, "cache");
const templates = join(cache, "sbx/templates");
const env = { XDG_CACHE_HOME: cache };

/** What stands in the cache once it is made; each test that spoils something does so in a copy. */
let key = "";
let world: World;

beforeAll(async () => {
  world = await openWorld();
  const options = { cwd: place, limit: 300, env: { ...env, PLANT, HOME: join(place, "home") } };
  const made = await run([SBX, "template", "build"], options);
  expect(made).toMatchObject({ status: 0, stderr: "sbx: the template is made\n" });
  [key = ""] = readdirSync(templates);
  spawnSync("cp", ["-a", "--sparse=always", join(templates, key), join(place, "kept")]);
}, 400_000);
afterAll(async () => {
  await world?.[Symbol.asyncDispose]();
  rmSync(place, { recursive: true, force: true });
});

/** A guest that boots is prepared; one that goes on from a template was. */
const WARM = { env: { ...env, SBX_TRACE: "agent" } };
const boots = (stderr: string) => stderr.includes("(prepare)");

async function guest(script: string, flags: readonly string[] = [], options: RunOptions = WARM) {
  return await world.sbx(["run", ...flags, "--", "sh", "-c", script], { limit: 300, ...options });
}

/** The sequence number of a connection's first segment, as the guest's own device sees it. */
const FIRST_SEGMENT = `
import socket, struct
seen = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)); seen.bind(("eth0", 0)); seen.settimeout(20)
out = socket.socket(); out.setblocking(False); out.connect_ex(("${PUBLIC}", 80))
while True:
    frame = seen.recv(65536)
    if frame[12:14] == b"\\x08\\x00" and frame[23] == 6 and frame[47] & 0x12 == 2: break
print(struct.unpack("!I", frame[38:42])[0])
`;

/** Lines that no two guests have in common. */
const IDENTITY = [
  `python3 - <<'END'\n${FIRST_SEGMENT}\nEND`,
  "cat /etc/machine-id",
  "cat /proc/sys/kernel/random/boot_id",
  "od -An -N16 -tx8 /dev/urandom",
  "python3 -c 'import os; print(os.getrandom(16).hex())'",
];

test("two guests of one template have nothing in common that has to be a guest's own", async () => {
  const script = IDENTITY.join("\n");
  const both = await Promise.all([guest(script), guest(script)]);
  const [first = [], second = []] = both.map(({ status, stdout, stderr }) => {
    expect({ status, boots: boots(stderr) }).toEqual({ status: 0, boots: false });
    return stdout.trim().split("\n");
  });
  expect(first).toHaveLength(IDENTITY.length);
  expect(second).toHaveLength(IDENTITY.length);
  for (const [line, text] of first.entries()) expect(text).not.toBe(second[line] ?? "");
}, 400_000);

test(
  "it knows its name, its time and its resolver, and none of them is the template's",
  async () => {
    const before = Math.floor(Date.now() / 1000);
    const { stdout, stderr } = await guest(
      "hostname; cat /etc/hostname; date +%s; cat /etc/resolv.conf; getent hosts allowed.test",
      ["--name", "warm-one"],
    );
    const [name, file, time = "", resolver, found] = stdout.split("\n");
    expect(boots(stderr)).toBe(false);
    expect([name, file]).toEqual(["warm-one", "warm-one"]);
    expect(Number(time)).toBeGreaterThanOrEqual(before);
    expect(Number(time)).toBeLessThanOrEqual(Math.ceil(Date.now() / 1000) + 1);
    expect(resolver).toMatch(/^nameserver /);
    expect(found).toContain("allowed.test");
  },
  400_000,
);

test("a policy holds: what it denies never leaves, what it allows arrives", async () => {
  await world.internet.reset();
  const { stdout, stderr } = await guest(
    "for host in evil.test allowed.test; do " +
      "curl -s -m 20 -o /dev/null http://$host/; echo $host $?; done; " +
      `curl -s -m 5 -o /dev/null http://${EVIL}/; echo address $?`,
    ["--policy", "none", "--deny-with", "reject", "--allow", "allowed.test:80"],
  );
  expect(boots(stderr)).toBe(false);
  expect(stdout).toMatch(/^evil.test [1-9]\d*\nallowed.test 0\naddress [1-9]\d*\n$/);
  const seen = await world.internet.report();
  expect(contacts(seen, [EVIL])).toEqual({});
  expect(seen.requests.map(({ host }) => host)).toEqual(["allowed.test"]);
}, 400_000);

test(
  "a terminal, a user, an environment, a file and an authority reach it as any other",
  async () => {
    const file = join(place, "file");
    writeFileSync(file, "mounted");
    const { stdout, stderr } = await guest(
      "tty; id -u; echo $WORD; pwd; cat /mnt/file; echo; ls -1 $SSL_CERT_FILE /etc/ssl/certs/sbx-authority.pem",
      [
        ...["--tty", "-u", "1234", "-e", "WORD=said", "-w", "/tmp", "-v", `${file}:/mnt/file:ro`],
        "--tls-intercept",
      ],
    );
    expect(boots(stderr)).toBe(false);
    expect(stdout.split("\r\n")).toEqual([
      "/dev/pts/0",
      "1234",
      "said",
      "/tmp",
      "mounted",
      "/etc/ssl/certs/ca-certificates.crt",
      "/etc/ssl/certs/sbx-authority.pem",
      "",
    ]);
  },
  400_000,
);

test("a guest of another kind boots, and so does one that is told to", async () => {
  for (const flags of [["--no-net"], ["-c", "2"], ["--no-template"]]) {
    const { status, stdout, stderr } = await guest("echo here", flags);
    expect({ flags, status, stdout, boots: boots(stderr) })
      .toEqual({ flags, status: 0, stdout: "here\n", boots: true });
  }
}, 400_000);

test("nothing of whoever made it is in it, and of nobody else is it to be read", () => {
  const home = join(templates, key);
  const { uid } = statSync(place);
  for (const name of ["", ...readdirSync(home)]) {
    const { mode, uid: owner } = statSync(join(home, name));
    // Root's QEMU is a user that nobody knows before; the memory is in a directory that only root enters.
    const others = name === "memory" && uid === 0 ? 0o066 : 0;
    expect([name, mode & 0o077, owner]).toEqual([name, others, uid]);
    if (name !== "") expect([name, holds(join(home, name), PLANT)]).toEqual([name, false]);
  }
  expect(statSync(templates).mode & 0o777).toBe(0o700);
  // The search finds what is there: the kernel's command line.
  expect(holds(join(home, "memory"), "tsc=reliable")).toBe(true);
}, 400_000);

function holds(path: string, text: string): boolean {
  return spawnSync("grep", ["-qF", text, path]).status === 0;
}

/** Puts back what was made at first, all of it at once. */
function putBack(): void {
  const home = join(templates, key);
  rmSync(home, { recursive: true, force: true });
  spawnSync("cp", ["-a", "--sparse=always", join(place, "kept"), join(place, "fresh")]);
  renameSync(join(place, "fresh"), home);
}

/** What a run does with a template that was changed; nobody makes another one meanwhile. */
async function withSpoilt(spoil: (home: string) => void) {
  const home = join(templates, key);
  const lock = lockFile(`${home}.lock`);
  try {
    putBack();
    spoil(home);
    const result = await guest("echo here");
    return { ...result, left: existsSync(home) };
  } finally {
    putBack();
    lock?.release();
    rmSync(`${home}.failed`, { force: true });
  }
}

/** Other bytes where the kernel is, and the times as they were. */
function overwrite(path: string, at: number): void {
  const { atime, mtime } = statSync(path);
  const file = openSync(path, "r+");
  writeSync(file, randomBytes(64), 0, 64, at);
  closeSync(file);
  utimesSync(path, atime, mtime);
}

test("a copy that is whole is used, after a look at all of it", async () => {
  const { status, stderr, left } = await withSpoilt(() => {});
  expect({ status, left, boots: boots(stderr) }).toEqual({ status: 0, left: true, boots: false });
}, 400_000);

const SPOILS: Readonly<Record<string, (home: string) => void>> = {
  "a memory with other bytes": (home) => overwrite(join(home, "memory"), 20 << 20),
  "a state with other bytes": (home) => overwrite(join(home, "state"), 1000),
  "half a state": (home) => truncateSync(join(home, "state"), 1000),
  "a state that QEMU cannot load": (home) => {
    const [state, manifest] = [join(home, "state"), join(home, "manifest.json")];
    writeFileSync(state, "nothing of a machine".repeat(1000));
    const digest = createHash("sha256").update(readFileSync(state)).digest("hex");
    const facts = JSON.parse(readFileSync(manifest, "utf8"));
    writeFileSync(manifest, JSON.stringify({ ...facts, state: digest }));
  },
  "a memory that counts by another machine's counter": (home) => {
    const manifest = join(home, "manifest.json");
    const { tscKHz, ...facts } = JSON.parse(readFileSync(manifest, "utf8"));
    writeFileSync(manifest, JSON.stringify({ ...facts, tscKHz: Math.round(tscKHz * 1.01) }));
  },
  "a manifest that is none": (home) => writeFileSync(join(home, "manifest.json"), "{}"),
  "a file that others may write": (home) => chmodSync(join(home, "state"), 0o666),
  "a file of somebody else": (home) => chownSync(join(home, "state"), 65_533, 65_533),
  "a link in the memory's place": (home) => {
    renameSync(join(home, "memory"), join(home, "other"));
    symlinkSync("other", join(home, "memory"));
  },
};

test.each(Object.keys(SPOILS))("%s is not used but removed, and the guest boots", async (name) => {
  const { status, stdout, stderr, left } = await withSpoilt(SPOILS[name] ?? (() => {}));
  expect({ status, stdout, left, boots: boots(stderr) })
    .toEqual({ status: 0, stdout: "here\n", left: false, boots: true });
  expect(stderr).toMatch(
    /^sbx: the guest boots, for its template cannot be used and was removed: /m,
  );
}, 400_000);

test(
  "a guest that somebody ends while it begins does not begin again, and its template stays",
  async () => {
    const running = world.start(["run", "--", "sleep", "60"], WARM);
    const qemu = () =>
      spawnSync("pgrep", ["-P", String(running.pid), "qemu-system"]).stdout.toString().trim();
    await until("qemu", () => qemu() !== "");
    process.kill(Number(qemu()), "SIGKILL");
    const { status, stderr } = await running.ended;
    expect({ status, boots: boots(stderr) }).toEqual({ status: 125, boots: false });
    expect(stderr).toMatch(/^sbx: cannot (?:start the guest|go on): /m);
    expect(existsSync(join(templates, key))).toBe(true);
  },
  400_000,
);

test(
  "a making that is killed or given up is in nobody's way, and two at once make one",
  async () => {
    const own = { env: { XDG_CACHE_HOME: join(place, "killed") }, limit: 300 };
    const build = () => start([SBX, "template", "build"], own);
    const parts = join(place, "killed/sbx/templates");
    const making = build();
    await until(
      "a part",
      () => existsSync(parts) && readdirSync(parts).some((name) => name.endsWith(".part")),
    );
    expect((await build().ended).stderr).toContain("another process is making it");
    making.kill("SIGKILL");
    await making.ended;
    const asked = build();
    await until(
      "a machine",
      () => spawnSync("pgrep", ["-P", String(asked.pid), "qemu-system"]).status === 0,
    );
    asked.kill("SIGINT");
    expect(await asked.ended).toMatchObject({ status: 130, stderr: "" });
    expect(readdirSync(parts)).toEqual([]);
    expect(await run([SBX, "run", "--no-net", "--no-template", "--", "echo", "here"], own))
      .toMatchObject({ status: 0, stdout: "here\n" });
    expect((await build().ended).stderr).toContain("the template is made");
    expect((await build().ended).stderr).toContain("there is one already");
    expect(readdirSync(parts)).toEqual([expect.stringMatching(/^[0-9a-f]{64}$/)]);
  },
  400_000,
);

test(
  "on a full disk none is made, nothing half made stays, and it is not tried again at once",
  async () => {
    const small = join(place, "small");
    mkdirSync(small);
    const script = [
      "mount -t tmpfs -o size=150m none $XDG_CACHE_HOME",
      '"$0" template build; echo status $?',
      '"$0" template build --unless-failed 2>&1; echo status $?',
      "ls $XDG_CACHE_HOME/sbx/templates",
      '"$0" run -q --no-net -- echo here',
    ].join("\n");
    const { stdout, stderr } = await run(["unshare", "-Urm", "sh", "-c", script, SBX], {
      env: { XDG_CACHE_HOME: small },
      limit: 300,
    });
    expect(stderr).toMatch(/^sbx: cannot /m);
    expect(stdout).toMatch(
      /^status 125\nsbx: it is not tried: [^\n]*\nstatus 0\n[0-9a-f]{64}\.failed\nhere\n$/,
    );
  },
  400_000,
);

test("the doctor says what is kept, and what of it cannot be used", async () => {
  const check = async () => {
    const { stdout } = await run([SBX, "doctor", "--json"], { env });
    return JSON.parse(stdout).findings.find(({ name }: { name: string }) => name === "templates");
  };
  expect(await check()).toMatchObject({
    state: "ok",
    found: expect.stringMatching(/^\d templates?, /),
  });
  const memory = join(templates, key, "memory");
  overwrite(memory, 20 << 20);
  expect(await check()).toMatchObject({ state: "note", found: expect.stringContaining("damaged") });
  putBack();
}, 400_000);

test("it can be listed, found by how its name begins, and removed", async () => {
  const sbx = (...args: readonly string[]) => run([SBX, "template", ...args], { env });
  const listed = async () => {
    const all: { readonly key: string }[] = JSON.parse((await sbx("ls", "--json")).stdout);
    return all.find((each) => each.key === key); // others were made behind guests of other kinds
  };
  expect(await listed()).toMatchObject({
    manifest: { size: { cpus: 1, memoryMiB: 1024, network: true } },
  });
  expect((await sbx("ls")).stdout).toMatch(new RegExp(`^${key.slice(0, 12)} .* 1024M +yes `, "m"));
  expect(await sbx("rm", "none")).toMatchObject({ status: 2 });
  expect(await sbx("prune", "--keep", "2G")).toMatchObject({
    stderr: "sbx: 0 templates removed\n",
  });
  expect(await sbx("rm", key.slice(0, 12))).toMatchObject({ status: 0 });
  expect(await listed()).toBeUndefined();
}, 400_000);
