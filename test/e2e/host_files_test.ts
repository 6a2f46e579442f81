/**
 * What a guest can leave on the host's files through a writable mount: files, and nothing that gives
 * anybody who runs them the rights of somebody else.
 */
import { afterAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  copyFileSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ordinaryUser } from "../support/ordinary_user.ts";
import { run } from "../support/process.ts";
import { SBX } from "../support/world.ts";

const place = mkdtempSync(join(tmpdir(), "sbx-host-files-"));
chmodSync(place, 0o755);
afterAll(() => rmSync(place, { recursive: true, force: true }));

/** Everything that could make a setuid file, a setgid file or a device, and what it came to. */
const ATTACK = `
import errno, json, os, shutil, subprocess, tarfile, io
os.umask(0)
answers = {}
def attempt(what, do):
    try: do(); answers[what] = "done"
    except OSError as e: answers[what] = errno.errorcode[e.errno]
def shell(what, line):
    answers[what] = "done" if subprocess.run(["sh", "-c", line], stderr=subprocess.DEVNULL).returncode == 0 else "failed"
def copy(name): shutil.copyfile("/bin/true", name); os.chmod(name, 0o755); return name
attempt("chmod u+s", lambda: os.chmod(copy("a"), 0o4755))
attempt("chmod g+s", lambda: os.chmod(copy("b"), 0o2755))
attempt("chmod of an open file", lambda: os.fchmod(os.open(copy("c"), os.O_RDWR), 0o6755))
attempt("open", lambda: os.open("d", os.O_CREAT | os.O_WRONLY, 0o4755))
attempt("mknod of a file", lambda: os.mknod("e", 0o106755))
attempt("a character device", lambda: os.mknod("f", 0o20666, os.makedev(1, 3)))
attempt("a block device", lambda: os.mknod("g", 0o60666, os.makedev(8, 0)))
attempt("file capabilities", lambda: os.setxattr(copy("h"), "security.capability", bytes.fromhex("0100000202000000000000000000000000000000")))
shell("install", "install -m 6755 /bin/true i")
copy("/tmp/setuid"); os.chmod("/tmp/setuid", 0o6755)
shell("cp -p", "cp -p /tmp/setuid j")
shell("mv", "cp /tmp/setuid /tmp/k && chmod 6755 /tmp/k && mv /tmp/k k")
shell("tar", "tar -C /tmp -cf - setuid | tar -xpf -")
def append(name):
    with open(name, "r+b") as file: file.write(b"#")
attempt("writing to a setuid file", lambda: append("theirs"))
attempt("writing to a setgid file", lambda: append("ours"))
attempt("truncating a setuid file", lambda: os.truncate("third", 1))
print(json.dumps(answers))
`;

const REFUSED = [
  "chmod u+s",
  "chmod g+s",
  "chmod of an open file",
  "open",
  "mknod of a file",
  "a character device",
  "a block device",
] as const;

/** A mount with setuid files of the host in it. */
function mountOf(name: string, owner: number): string {
  const path = join(place, name);
  mkdirSync(path);
  for (const file of ["theirs", "ours", "third"]) {
    writeFileSync(join(path, file), "#!/bin/sh\n");
    chownSync(join(path, file), owner, owner);
    chmodSync(join(path, file), file === "ours" ? 0o2755 : 0o4755);
  }
  chownSync(path, owner, owner);
  return path;
}

/** Files with a special bit or of a special kind. */
function special(path: string): string[] {
  return readdirSync(path, { recursive: true, encoding: "utf8" }).filter((name) => {
    const stat = lstatSync(join(path, name));
    return !stat.isDirectory() && (stat.mode & 0o6000) !== 0 ||
      stat.isCharacterDevice() || stat.isBlockDevice();
  });
}

const USER = 64_999;

/** Runs the rest of its arguments as root of a user namespace with 65,536 users, as rootless containers do. */
const NAMESPACE = `
import ctypes, os, sys
ready, go = os.pipe(), os.pipe()
child = os.fork()
if child == 0:
    if ctypes.CDLL(None).unshare(0x10000000): os._exit(99)
    os.write(ready[1], b"x"); os.read(go[0], 1)
    os.setgid(0); os.setuid(0)
    os.execvp(sys.argv[2], sys.argv[2:])
os.read(ready[0], 1)
for name, text in (("uid_map", "0 0 65536"), ("setgroups", sys.argv[1]), ("gid_map", "0 0 65536")):
    with open(f"/proc/{child}/{name}", "w") as file: file.write(text)
os.write(go[1], b"x")
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
`;

/** How sbx is called, and by whom the mount is owned. */
const CALLERS: readonly (readonly [string, readonly string[], number])[] = [
  ["root", [], 0],
  ["root, in a mount of somebody else", [], USER],
  ["an ordinary user", ordinaryUser(USER), USER],
  ["root of a namespace with one user", ["unshare", "-Ur"], 0],
  ["root of a namespace with many", ["python3", "-c", NAMESPACE, "allow"], 0],
  ["root of a namespace that keeps its groups", ["python3", "-c", NAMESPACE, "deny"], 0],
];

describe.each(CALLERS)("called by %s", (name, prefix, owner) => {
  const environment = {
    XDG_CACHE_HOME: join(place, `cache of ${name}`),
    XDG_DATA_HOME: join(place, `data of ${name}`),
  };
  for (const path of Object.values(environment)) {
    mkdirSync(path);
    chownSync(path, owner, owner);
  }
  const binary = join(place, "sbx");
  copyFileSync(SBX, binary);
  const sbx = (...argv: string[]) =>
    run([...prefix, binary, "run", "--no-net", "--no-template", ...argv], { env: environment });

  test("a guest makes no setuid file and no device on the host", async () => {
    const path = mountOf(`attacked by ${name}`, owner);
    const { status, stdout, stderr } = await sbx(
      ...["-v", `${path}:/m`, "-w", "/m", "--", "python3", "-c", ATTACK],
    );
    expect({ status, stderr }).toEqual({ status: 0, stderr: expect.not.stringContaining("Trace") });
    const answers = JSON.parse(stdout);
    for (const what of REFUSED) expect([what, answers[what]]).toEqual([what, "EPERM"]);
    expect(answers["file capabilities"]).not.toBe("done");
    for (const what of ["writing to a setuid file", "truncating a setuid file"]) {
      expect([what, answers[what]]).toEqual([what, "done"]);
    }
    expect(special(path)).toEqual([]);
    // The tries themselves arrived, without the bits.
    expect(readdirSync(path)).toContain("a");
  });

  test("a guest without a mount starts", async () => {
    const { status, stdout, stderr } = await sbx("--", "echo", "here");
    expect({ status, stdout, stderr }).toMatchObject({ status: 0, stdout: "here\n" });
  });

  test("what ordinary work does to a mount still works", async () => {
    const path = mountOf(`used by ${name}`, owner);
    mkdirSync(join(path, "shared"));
    chownSync(join(path, "shared"), owner, owner);
    chmodSync(join(path, "shared"), 0o2775);
    const script = `
set -e
umask 022
mkdir -p tree/node_modules/.bin tree/node_modules/a/lib
echo '#!/bin/sh' > tree/node_modules/a/cli.js
chmod 755 tree/node_modules/a/cli.js
ln -s ../a/cli.js tree/node_modules/.bin/a
tree/node_modules/.bin/a
install -m 750 /bin/true tree/true
tar -cf tree.tar tree && mkdir out && tar -C out -xpf tree.tar
cp -a tree copied && mv copied moved && ln moved/true hard && rm -r out/tree/node_modules
chmod 1777 moved && chmod 600 tree.tar && touch -d 2001-02-03 hard
mkdir -p shared/sub/subsub && touch shared/sub/file
`;
    const { status, stderr } = await sbx(
      ...["-v", `${path}:/m`, "-w", "/m", "--", "sh", "-c", script],
    );
    expect({ status, stderr }).toEqual({ status: 0, stderr: expect.anything() });
    const mode = (name: string) => (lstatSync(join(path, name)).mode & 0o7777).toString(8);
    expect(mode("tree/node_modules/a/cli.js")).toBe("755");
    expect(mode("out/tree/true")).toBe("750");
    expect(mode("moved")).toBe("1777");
    expect(mode("tree.tar")).toBe("600");
    expect(mode("shared/sub/subsub")).toBe("2755");
    expect(lstatSync(join(path, "tree/node_modules/.bin/a")).isSymbolicLink()).toBe(true);
    expect(lstatSync(join(path, "hard")).mtime.getFullYear()).toBe(2001);
  });
});

test("root's QEMU reads what only root can, and writes what is another user's, by the capabilities left to it", async () => {
  const path = join(place, "private");
  mkdirSync(path);
  writeFileSync(join(path, "file"), "theirs\n");
  for (const name of ["file", ""]) {
    chownSync(join(path, name), USER, USER);
    chmodSync(join(path, name), name === "" ? 0o700 : 0o600);
  }
  const sbx = (mode: string, script: string) =>
    run([SBX, "run", "--no-net", "-v", `${path}:/m${mode}`, "--", "sh", "-c", script]);
  expect(await sbx(":ro", "cat /m/file")).toMatchObject({ status: 0, stdout: "theirs\n" });
  const script = "echo more >> /m/file && chmod 640 /m/file && touch -d 2001-02-03 /m/file && " +
    "echo new > /m/new && chown 1:2 /m/new && rm /m/file";
  expect(await sbx("", script)).toMatchObject({ status: 0, stdout: "" });
  expect(readdirSync(path)).toEqual(["new"]);
  const { uid, gid } = lstatSync(join(path, "new"));
  expect([uid, gid]).toEqual([1, 2]);
});
