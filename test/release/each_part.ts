/**
 * sbx on another system than the one that it is made on, each of its parts by one guest: QEMU, virtiofsd and
 * everything that the guest has of its host's files are that system's. Run by scripts/test-debian13 and
 * scripts/test-arm64, which move into it first.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ordinaryUser } from "../support/ordinary_user.ts";
import { EVIL, PUBLIC } from "../support/places.ts";
import { run, type RunOptions } from "../support/process.ts";
import { contacts } from "../support/recorder.ts";
import { openWorld, SBX, type World } from "../support/world.ts";

/** Emulated guests on a machine that does other things as well. */
const PATIENCE = 900;

/** Somebody who is not root, and may use KVM where a group may. */
const OTHER = 4321;
const KVM_GROUP = statSync("/dev/kvm", { throwIfNoEntry: false })?.gid ?? 0;

const place = mkdtempSync(join(tmpdir(), "sbx-each-part-"));
let world: World;
beforeAll(async () => {
  world = await openWorld({ cold: true });
});
afterAll(async () => {
  await world?.[Symbol.asyncDispose]();
  rmSync(place, { recursive: true, force: true });
});

const env = { XDG_CACHE_HOME: join(place, "cache"), SBX_TRACE: "agent" };

function sbx(args: readonly string[], options: RunOptions = {}) {
  return world.sbx(args, { limit: PATIENCE, env, ...options });
}

test(
  "a guest without a network sees this system's files; input, output and exit status pass",
  async () => {
    const line = '. /etc/os-release; echo "$PRETTY_NAME"; python3 --version; uname -m';
    const here = await run(["sh", "-c", line]);
    expect(here.stdout).toMatch(/^Debian .+\nPython 3.+\n\w+\n$/);
    const { status, stdout } = await sbx(
      [
        "run",
        "--no-net",
        "--no-template",
        "--",
        "sh",
        "-c",
        `cat; ${line}; ls /sys/class/net; exit 7`,
      ],
      { stdin: "through stdin\n" },
    );
    expect([status, stdout]).toEqual([7, `through stdin\n${here.stdout}lo\n`]);
  },
  1_000_000,
);

test("what is allowed arrives, intercepted, and what is denied never leaves", async () => {
  await world.internet.reset();
  const fetch = "curl -sS -m 60 -o /dev/null -w '%{http_code}\\n'";
  const script = [
    `${fetch} https://api.allowed.test/ok`,
    // Only who sees the request can tell.
    `${fetch} -H 'Host: evil.test' https://api.allowed.test/no`,
    "curl -s -m 20 https://evil.test/; echo name $?",
    `curl -s -m 20 http://${EVIL}/; echo address $?`,
  ].join("; ");
  const flags = [
    "--no-template",
    "--policy",
    "none",
    "--deny-with",
    "reject",
    "--allow",
    "api.allowed.test",
    "--tls-intercept",
    "--upstream-ca",
    world.ca,
  ];
  const { status, stdout, stderr } = await sbx(["run", ...flags, "--", "sh", "-c", script]);
  expect({ status, stdout, stderr }).toMatchObject({
    status: 0,
    stdout: expect.stringMatching(/^200\n421\nname [1-9]\d*\naddress [1-9]\d*\n$/),
  });
  const seen = await world.internet.report();
  expect(contacts(seen, [EVIL])).toEqual({});
  expect(seen.requests.map(({ host, method, path }) => [host, method, path])).toEqual([
    ["api.allowed.test", "GET", "/ok"],
  ]);
}, 1_000_000);

test("a guest goes on from a template, and is under its own policy", async () => {
  const made = await sbx(["template", "build"]);
  expect(made).toMatchObject({ status: 0 });
  await world.internet.reset();
  const line =
    `curl -s -m 60 -o /dev/null http://${PUBLIC}/; echo $?; curl -s -m 9 http://${EVIL}/; echo $?`;
  const flags = ["--policy", "none", "--deny-with", "reject", "--allow", PUBLIC];
  const { stdout, stderr } = await sbx(["run", ...flags, "--", "sh", "-c", line]);
  expect(stderr).not.toContain("(prepare)");
  expect(stdout).toMatch(/^0\n[1-9]\d*\n$/);
  expect(contacts(await world.internet.report(), [EVIL])).toEqual({});
}, 2_000_000);

test("so does one with a disk, which gets its root then", async () => {
  expect(await sbx(["template", "build", "--no-net", "--no-root"])).toMatchObject({ status: 0 });
  const { stdout, stderr } = await sbx(
    [
      "run",
      "--no-net",
      "--disk",
      "512M",
      "--",
      "sh",
      "-c",
      "echo kept > /kept; stat -f -c %T /kept",
    ],
  );
  expect(stderr).not.toContain("agent 1 new"); // which one that was saved has behind it
  expect(stdout).toBe("ext2/ext3\n");
}, 2_000_000);

test.each([
  ["root", []],
  ["another user", ordinaryUser(OTHER, KVM_GROUP > 0 ? [KVM_GROUP] : [])],
])(
  "a mount of %s's is by this system's virtiofsd, and holds to what it may",
  async (who, become) => {
    const [mount = "", home = ""] = ["mount", "home"].map((name) =>
      join(place, `${name} of ${who}`)
    );
    const owner = become.length === 0 ? 0 : OTHER;
    chmodSync(place, 0o755);
    for (const path of [mount, home]) {
      mkdirSync(path);
      chownSync(path, owner, owner);
    }
    writeFileSync(join(mount, "from-host"), "host\n");
    const line =
      "grep -c ' /work virtiofs ' /proc/mounts; cat /work/from-host; echo guest >/work/from-guest; " +
      "echo no >/ro/from-guest || echo read-only";
    const argv = world.onHost([
      ...become,
      "env",
      `XDG_CACHE_HOME=${home}`,
      SBX,
      "run",
      "-q",
      "--no-net",
      "--no-template",
      "-v",
      `${mount}:/work`,
      "-v",
      `${mount}:/ro:ro`,
      "--",
      "sh",
      "-c",
      line,
    ]);
    const { status, stdout, stderr } = await run(argv, { limit: PATIENCE });
    expect({ status, stdout, stderr }).toMatchObject({
      status: 0,
      stdout: "1\nhost\nread-only\n",
    });
    expect(readFileSync(join(mount, "from-guest"), "utf8")).toBe("guest\n");
  },
  1_000_000,
);

test("a named sandbox lives and runs commands", async () => {
  const own = { env: { ...env, XDG_STATE_HOME: join(place, "state"), XDG_RUNTIME_DIR: place } };
  const named = (...args: string[]) => sbx(args, own);
  expect(await named("create", "--name", "dev", "--no-net", "--no-template")).toMatchObject({
    status: 0,
  });
  try {
    expect(await named("start", "dev")).toMatchObject({ status: 0 });
    expect(await named("exec", "dev", "--", "cat", "/etc/debian_version")).toMatchObject({
      status: 0,
      stdout: readFileSync("/etc/debian_version", "utf8"),
    });
  } finally {
    expect(await named("rm", "--force", "dev")).toMatchObject({ status: 0 });
  }
}, 2_000_000);
