/**
 * Mounts by either transport, as root and as an ordinary user, of guests that boot and of some that go on
 * from a template: what programs expect of a directory, what the daemon of virtiofs may do, and what dies
 * with what.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { lookForFileDaemon } from "../../lib/guest/qemu/file_daemon.ts";
import { ordinaryUser } from "../support/ordinary_user.ts";
import { openWorld, ROOT, SBX, type World } from "../support/world.ts";

const isRoot = process.getuid?.() === 0;
const daemon = lookForFileDaemon();

let world: World;
beforeAll(async () => {
  world = await openWorld({ bare: true });
  chmodSync(world.scratch, 0o755);
});
afterAll(() => world?.[Symbol.asyncDispose]());

type Start = "boots" | "goes on";

/** Runs in a mount namespace of its own, with a small file system in the mount. */
function inside(
  work: string,
  transport: "9p" | "virtiofs",
  user: number,
  how: Start,
  as: string,
  ...args: string[]
) {
  mkdirSync(join(work, "small"), { recursive: true });
  mkdirSync(join(work, "crowd"));
  for (let name = 0; name < 10_000; name++) writeFileSync(join(work, "crowd", String(name)), "");
  const cache = `${work}.cache`;
  mkdirSync(cache);
  if (isRoot) { for (const path of [work, cache]) chownSync(path, user, user); }
  const hidden = transport === "9p" && "path" in daemon
    ? `mount --bind /dev/null '${daemon.path}'`
    : ":";
  const become = user === 0 ? [] : ordinaryUser(user);
  const sbx = [...become, "env", `XDG_CACHE_HOME=${cache}`, "SBX_TRACE=agent", SBX];
  const line = [
    `mount -t tmpfs -o size=1m,mode=777 none '${work}/small'`,
    hidden,
    how === "boots" ? ":" : [...sbx, "template build --no-net 2>'/dev/null'"].join(" "),
    'exec "$@"',
  ].join(" && ");
  return world.run([
    ...["unshare", isRoot ? "-m" : "-Urm", "sh", "-c", line, "sh", ...sbx],
    ...["run", "-q", "--no-net", ...(how === "boots" ? ["--no-template"] : [])],
    ...[
      "-v",
      `${work}:/work${as}`,
      "-v",
      `${join(ROOT, "test/support")}:/support:ro`,
      "-w",
      "/work",
    ],
    ...args,
  ], { limit: 280 });
}

type Where = "host" | "virtiofs" | "9p" | "copy";

/** What is not as in a directory of one's own, with all that may be answered there. The rest is "ok". */
const DIFFERS: readonly (readonly [what: string, where: Where, answers: RegExp, why: string])[] = [
  [
    "unnamed files",
    "virtiofs",
    /^EOPNOTSUPP$|^ENOTSUP$/,
    "FUSE has O_TMPFILE since Linux 6.1 alone",
  ],
  ["unnamed files", "9p", /^EOPNOTSUPP$|^ENOTSUP$/, "the protocol has none"],
  [
    "unnamed files",
    "copy",
    /^EOPNOTSUPP$|^ENOTSUP$/,
    "overlayfs has them since Linux 6.1 where all layers do",
  ],
  ["truncating an unlinked file", "9p", /^ok$|^ENOENT$/, "QEMU 7.2 goes by the name"],
  ["mode and times of an unlinked file", "9p", /^ok$|^ENOENT$/, "QEMU 7.2 goes by the name"],
  [
    "an unlinked file is not the one that took its name",
    "9p",
    /^ok$|'a', not 'another one'$/,
    "QEMU 7.2 goes by the name",
  ],
  ["pipes and sockets", "9p", /^ENXIO$|^EPERM$|^EOPNOTSUPP$/, "they would be made on this machine"],
  ["attributes", "copy", /^EOPNOTSUPP$|^ENOTSUP$/, "tmpfs has those of users since Linux 6.6"],
  ["no setuid file and no device", "copy", /no EPERM$/, "they are the guest's alone"],
  ["no setuid file and no device", "host", /no EPERM$/, "only guests are kept from it"],
];

/** Compares all that was found with what is to be. */
function expectAsOwn(answers: string, where: Where): void {
  const found: Record<string, string> = JSON.parse(answers);
  expect(Object.keys(found).length).toBeGreaterThan(22);
  for (const [name, answer] of Object.entries(found)) {
    const differs = DIFFERS.find(([what, there]) => what === name && there === where);
    const shown = `${name}: ${answer}`;
    if (differs === undefined) expect(shown).toBe(`${name}: ok`);
    else expect(answer, shown).toMatch(differs[2]);
  }
}

test.skipIf(!isRoot)(
  "what is expected of mounts holds of a directory of this machine",
  async () => {
    const own = join(world.scratch, "own");
    mkdirSync(join(own, "small"), { recursive: true });
    mkdirSync(join(own, "crowd"));
    for (let name = 0; name < 10_000; name++) writeFileSync(join(own, "crowd", String(name)), "");
    const line =
      `cd '${own}' && mount -t tmpfs -o size=1m none small && exec python3 '${ROOT}/test/support/files.py'`;
    const { status, stdout } = await world.run(["unshare", "-m", "sh", "-c", line], { limit: 120 });
    expect(status).toBe(0);
    expectAsOwn(stdout, "host");
  },
  150_000,
);

describe.each(
  [
    ["virtiofs", 0, "boots", ""],
    ["virtiofs", 0, "goes on", ":cached"],
    ["virtiofs", 4321, "goes on", ""],
    ["9p", 0, "goes on", ""],
    ["virtiofs", 4321, "goes on", ":copy"],
  ] as const,
)("%s as %d in a guest that %s %s", (by, user, how, as) => {
  test.skipIf(by === "virtiofs" && "missing" in daemon)("a mount is a directory", async () => {
    const work = join(
      world.scratch,
      `${by}-${user}-${how.replace(" ", "-")}${as}`.replace(":", "-"),
    );
    const script =
      "grep -o ' /work [a-z0-9]*' /proc/mounts | tail -n 1; exec /usr/bin/python3 /support/files.py";
    const { status, stdout, stderr } = await inside(
      work,
      by,
      user,
      how,
      as,
      "--",
      "sh",
      "-c",
      script,
    );
    expect({ status, stderr }).toMatchObject({ status: 0 });
    expect(stderr.includes("(prepare)")).toBe(how === "boots");
    const [kind, answers = "{}"] = stdout.split("\n");
    // Another file system lies over a copy.
    expect(kind).toBe(` /work ${as === ":copy" ? "overlay" : by}`);
    expectAsOwn(answers, as === ":copy" ? "copy" : by);
    if (as === ":copy") {
      expect(readdirSync(work).sort()).toEqual(["crowd", "small"]);
      return;
    }
    expect(readdirSync(join(work, "many")).length).toBe(300);
    expect(statSync(join(work, "made")).mode & 0o7777).toBe(0o667);
    if (isRoot) expect(statSync(join(work, "made")).uid).toBe(user);
  }, 300_000);
});

/** Processes of a name that descend from one. */
function descendants(of: number, name: string): number[] {
  const parents = new Map<number, { parent: number; name: string }>();
  for (const pid of readdirSync("/proc").map(Number).filter(Boolean)) {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
      const [, comm = "", rest = ""] = /\((.*)\) (.*)/s.exec(stat) ?? [];
      parents.set(pid, { parent: Number(rest.split(" ")[1]), name: comm });
    } catch {
      // it ended meanwhile
    }
  }
  const isBelow = (pid: number): boolean => {
    const parent = parents.get(pid)?.parent ?? 0;
    return parent === of || (parent > 1 && isBelow(parent));
  };
  return [...parents].filter(([pid, own]) => own.name === name && isBelow(pid)).map(([pid]) => pid);
}

const field = (pid: number, name: string) =>
  new RegExp(`^${name}:\\s+(.*)$`, "m").exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];

describe.skipIf(!isRoot || "missing" in daemon)("by virtiofs", () => {
  test(
    "daemons hold what their mounts need, changes are seen, and a daemon's end is the guest's",
    async () => {
      const place = join(world.scratch, "lived");
      for (const name of ["open", "closed", "written"]) {
        mkdirSync(join(place, name), { recursive: true });
      }
      chmodSync(join(place, "closed"), 0o700);
      writeFileSync(join(place, "open/file"), "before");
      writeFileSync(join(place, "open/secret"), "root's", { mode: 0o600 });
      writeFileSync(join(place, "closed/secret"), "root's", { mode: 0o600 });
      const script = [
        "cat /open/secret; cat /closed/secret; echo; cd /written",
        "mount -o remount,rw /open; touch /open/made /closed/made; ls /open /closed",
        "cat /open/file; mkdir ready; until [ -e go ]; do sleep 0.1; done",
        "until [ $(cat /open/file) = after! ]; do sleep 0.1; done; cat /open/file go",
        "mkdir seen; while :; do ls / >/dev/null; sleep 0.1; done",
      ].join("\n");
      const mounts = ["open:/open:ro", "closed:/closed:ro", "written:/written"]
        .flatMap((mount) => ["-v", `${place}/${mount}`]);
      const running = world.start(["run", "--no-net", ...mounts, "--", "sh", "-c", script]);
      const reached = async (name: string) => {
        while (!readdirSync(join(place, "written")).includes(name)) await Bun.sleep(50);
      };
      await reached("ready");
      const [qemu = 0] = descendants(running.pid, readQemuName());
      expect(field(qemu, "Uid")).toStartWith(`${0x7000_0000 + qemu}\t`);
      expect(field(qemu, "CapEff")).toBe("0000000000000000");
      expect(
        readdirSync(`/proc/${qemu}/fd`).map((fd) => {
          try {
            return readlinkSync(`/proc/${qemu}/fd/${fd}`);
          } catch {
            return "";
          }
        }).filter((path) => path.startsWith(place)),
      ).toEqual([]);
      // Of each daemon the process that serves is the one in a namespace of processes of its own.
      const serving = descendants(running.pid, "virtiofsd").filter((pid) =>
        field(pid, "NSpid")?.includes("\t")
      );
      // A user of its own has the number of the process that became the daemon, which is above this one.
      const user = (pid: number) => Number(field(pid, "Uid")?.split("\t")[0]);
      expect(
        serving.map((pid) => [user(pid) > 0x7000_0000, user(pid) === 0, field(pid, "CapPrm")])
          .sort(),
      )
        .toEqual([
          [false, true, "0000000000000004"],
          [false, true, "000000000000000b"],
          [true, false, "0000000000000000"],
        ]);
      for (const pid of serving) {
        expect([field(pid, "NoNewPrivs"), field(pid, "Seccomp"), field(pid, "CapAmb")])
          .toEqual(["1", "2", "0000000000000000"]);
        for (const kind of ["net", "mnt", "pid", "ipc"]) {
          expect(readlinkSync(`/proc/${pid}/ns/${kind}`)).not.toBe(
            readlinkSync(`/proc/self/ns/${kind}`),
          );
        }
      }
      // An editor's way to save.
      writeFileSync(join(place, "open/fresh"), "after!");
      renameSync(join(place, "open/fresh"), join(place, "open/file"));
      writeFileSync(join(place, "written/go"), "gone");
      await reached("seen");
      process.kill(serving[0] ?? 0, "SIGKILL");
      const { status, stdout, stderr } = await running.ended;
      expect(stdout).toBe("root's\n/closed:\nsecret\n\n/open:\nfile\nsecret\nbeforeafter!gone");
      expect({ status, stderr }).toMatchObject({ status: 125 });
      expect(stderr).toMatch(/cannot go on: the file daemon of .*\/lived\/\w+ ended/);
      expect(descendants(running.pid, "virtiofsd")).toEqual([]);
    },
    300_000,
  );
});

function readQemuName(): string {
  return (process.arch === "arm64" ? "qemu-system-aarch64" : "qemu-system-x86_64").slice(0, 15);
}
