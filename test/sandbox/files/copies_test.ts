/** Trees to and from a guest, by the real agent on directories of this machine. */
import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { lstatSync, mkdirSync, mkdtempSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { setImmediate } from "node:timers";
import type { SandboxFiles } from "../../../lib/sandbox/files.ts";
import { Agents } from "../../guest/agent_process.ts";
import { everything, filesOf, isRoot, namesIn, startRoot } from "./agent_files.ts";

let agents: Agents;
let fs: SandboxFiles;
let home: string;
beforeAll(() => {
  agents = new Agents();
  fs = filesOf(startRoot(agents).agent).fs;
});
afterAll(() => {
  // Directories that keep their modes keep their files, too, from whoever is not root.
  if (home !== undefined) execFileSync("chmod", ["-R", "u+rwX", agents.home]);
  agents?.close();
});
beforeEach(() => {
  home = mkdtempSync(`${agents.home}/copies-`);
});

const at = (name: string) => `${home}/${name}`;

const shell = (script: string) => execFileSync("sh", ["-ec", script], { cwd: home, stdio: "pipe" });

/** One of everything that a copy keeps. */
function plant(): void {
  shell(`
    mkdir -p from/a/deep/er from/empty
    echo '#!/bin/sh' >from/a/run; chmod 755 from/a/run
    printf s >from/a/secret; chmod 400 from/a/secret
    : >from/nothing
    head -c 300000 /dev/urandom >from/large
    printf bytes >from/"$(printf 'not\\377UTF-8\\n.')"
    printf long >from/"$(printf '%0255d' 0)"
    echo sorts >from/a.b
    ln from/a/run from/again; ln from/a/run from/a/deep/third
    ln -s ../../../../etc/passwd from/a/link
    ln -s "$(printf '\\376')" from/strange
    ln -s /nowhere from/dangling
    truncate -s 1T from/sparse
    printf middle | dd of=from/sparse bs=1 seek=1073741824 conv=notrunc status=none
    touch -h -d '2001-02-03 04:05:06.123456' from/a/link from/a/run from/large
    touch -d '1969-01-01 00:00:00' from/nothing
    chmod 555 from/a/deep; touch -d '2001-02-03 04:05:06.123456' from/a/deep from/a from
  `);
}

test("a tree comes out as it was, to the guest, within it and back", async () => {
  plant();
  const wanted = everything(at("from"));
  expect(wanted).toHaveLength(18);
  const there = await fs.copyFromHost(at("from"), at("guest"));
  expect(everything(at("guest"))).toEqual(wanted);
  await fs.copy(at("guest"), at("copy"));
  expect(everything(at("copy"))).toEqual(wanted);
  const back = await fs.copyToHost(at("copy"), at("host"));
  // A directory on this machine stays open to its owner.
  expect(everything(at("host"))).toEqual(
    wanted.map((line) => line.replace("deep 40555 ", "deep 40755 ")),
  );
  expect(back).toEqual(there);
  expect(there).toMatchObject({ files: 10, directories: 5, symlinks: 3, leftOut: 0 });
  const { blocks } = statSync(at("host/sparse"));
  expect(blocks * 512).toBeLessThan(1 << 20);
  expect(namesIn(home)).toEqual(["copy", "from", "guest", "host"]);
}, 60_000);

/** Attributes of all files below a directory, by what the kernel says of them. */
function attributes(root: string): unknown {
  const script = `
import os, json, sys, hashlib
print(json.dumps({os.path.relpath(at, sys.argv[1]): {
    name: hashlib.sha256(os.getxattr(at, name, follow_symlinks=False)).hexdigest()
    for name in sorted(os.listxattr(at, follow_symlinks=False))}
  for top, dirs, files in os.walk(sys.argv[1]) for at in [top, *(os.path.join(top, f) for f in files)]}))`;
  return JSON.parse(execFileSync("python3", ["-c", script, root], { encoding: "utf8" }));
}

/** False where the file system has no attributes of users. */
function giveAttributes(): boolean {
  const script = `
import os, sys
try: os.setxattr("from", "user.directory", b"d")
except OSError: sys.exit(1)
os.setxattr("from/run", "user.empty", b"")
os.setxattr("from/run", "user." + "n" * 250, bytes(range(256)) * 8)
os.setxattr("from/sparse", "user.\xfc", b"a hole behind")
if os.geteuid() == 0:
    os.setxattr("from/run", "trusted.mine", b"t")
    os.setxattr("from/run", "security.capability", bytes.fromhex("01000002" + "00040000" + "00" * 12))
os.chmod("from/run", 0o555)`;
  try {
    execFileSync("python3", ["-c", script], { cwd: home });
    return true;
  } catch {
    return false;
  }
}

test("users' attributes come along both ways, and none that the system acts on", async () => {
  shell(`mkdir from; echo x >from/run; truncate -s 1M from/sparse; ln -s run from/link`);
  expect(giveAttributes(), "test on a file system that has attributes").toBeTrue();
  const has = attributes(at("from")) as Record<string, Record<string, string>>;
  const users = Object.fromEntries(
    Object.entries(has).map(([path, all]) => [
      path,
      Object.fromEntries(Object.entries(all).filter(([name]) => name.startsWith("user."))),
    ]),
  );
  expect(Object.values(users).flatMap((all) => Object.keys(all))).toHaveLength(4);
  expect(await fs.copyFromHost(at("from"), at("guest"))).toMatchObject({ attributesLeftOut: 0 });
  expect(attributes(at("guest"))).toEqual(users);
  // What root of the guest adds stays there.
  if (isRoot) {
    shell(
      `python3 -c 'import os; os.setxattr("guest/run", "trusted.overlay.opaque", b"y"); os.setxattr("guest/sparse", "security.ima", b"x")'`,
    );
  }
  await fs.copy(at("guest"), at("copy"));
  expect(await fs.copyToHost(at("copy"), at("host"))).toMatchObject({ attributesLeftOut: 0 });
  expect(attributes(at("host"))).toEqual(users);
  expect(everything(at("host"))).toEqual(everything(at("from")));
  if (isRoot) {
    await fs.copyToHost(at("guest"), at("direct"));
    expect(attributes(at("direct"))).toEqual(users);
  }
}, 60_000);

test("attributes that a file system does not take are counted", async () => {
  mkdirSync(at("small"));
  const large = "os.setxattr('large', 'user.a', b'x' * 3000)";
  shell(`echo x >large; python3 -c "import os; ${large}"`);
  // Attributes on a tmpfs count against its inodes, and before Linux 6.6 it has none.
  const { fs: inside } = filesOf(
    agents.startIn(`mount -t tmpfs -o nr_inodes=3 none ${at("small")}`).agent,
  );
  expect(await inside.copyFromHost(at("large"), at("small/f"))).toMatchObject({
    files: 1,
    attributesLeftOut: 1,
  });
  expect(await inside.readText(at("small/f"))).toBe("x\n");
});

test("single files, links and empty files come out as they were", async () => {
  shell(`printf x >file; chmod 640 file; ln -s file link; : >empty; mkdir there back`);
  for (const name of ["file", "link", "empty"]) {
    await fs.copyFromHost(at(name), at("there"));
    await fs.copyToHost(at(`there/${name}`), at("back/"));
    expect(everything(at(`back/${name}`)), name).toEqual(everything(at(name)));
  }
  await fs.copyFromHost(at("file"), at("there/empty"));
  expect(readFileSync(at("there/empty"), "utf8")).toBe("x");
});

test("where a copy goes is the same on both sides, and as with cp -a", async () => {
  const sides: [string, (from: string, to: string) => Promise<unknown>][] = [
    ["in", (from, to) => fs.copyFromHost(from, to)],
    ["within", (from, to) => fs.copy(from, to)],
    ["out", (from, to) => fs.copyToHost(from, to)],
    ["cp", (from, to) => Promise.resolve(execFileSync("cp", ["-a", from, to], { stdio: "pipe" }))],
  ];
  shell(`mkdir s; echo s >s/f; mkdir s/d; echo deep >s/d/f`);
  const rows = [
    "s t",
    "s/ t",
    "s/. t",
    "s t/",
    "s/f t",
    "s/f t/",
    "s/f t/f",
    "s n",
    "s/ n/",
    "s/. n",
  ];
  for (const row of rows) {
    const [from = "", to = ""] = row.split(" ");
    const found: string[][] = [];
    for (const [side, copy] of sides) {
      shell(
        `rm -rf ${side}; mkdir -p ${side}/t/d; echo old >${side}/t/d/f; echo kept >${side}/t/kept`,
      );
      await copy(at(from), at(`${side}/${to}`));
      found.push(
        execFileSync("sh", ["-c", "find . -type f -exec grep -H . {} + | sort"], {
          cwd: at(side),
          encoding: "utf8",
        }).split("\n"),
      );
    }
    const [expected = [], ...others] = found.reverse();
    for (const other of others) expect(other, row).toEqual(expected);
  }
});

test("a copy that cannot be merged changes nothing, whatever its direction", async () => {
  shell(`
    mkdir -p s/z t/z u; echo new >s/a; echo new >s/z/f; rm -r t/z; ln -s / t/z
    mkdir -p v w/z; echo new >v/a; echo new >v/z
  `);
  for (const copy of [fs.copyFromHost, fs.copy, fs.copyToHost].map((f) => f.bind(fs))) {
    await expect(copy(at("s/."), at("t"))).rejects.toMatchObject({ code: "FILE_NOT_DIRECTORY" });
    await expect(copy(at("v/."), at("w"))).rejects.toMatchObject({ code: "FILE_IS_DIRECTORY" });
    await expect(copy(at("s"), at("none/t"))).rejects.toMatchObject({ code: "FILE_NOT_FOUND" });
    await expect(copy(at("none"), at("t"))).rejects.toMatchObject({ code: "FILE_NOT_FOUND" });
    await expect(copy(at("s/a/"), at("t"))).rejects.toMatchObject({ code: "FILE_NOT_DIRECTORY" });
  }
  expect([namesIn(at("t")), namesIn(at("w"))]).toEqual([["z"], ["z"]]);
});

test("links at the target are not followed out of it, unless the path ends in a slash", async () => {
  shell(
    `mkdir s outside t; echo new >s/f; echo old >outside/f; ln -s outside link; ln -s ../outside/f t/f`,
  );
  await expect(fs.copyToHost(at("s"), at("link"))).rejects.toMatchObject({
    code: "FILE_EXISTS",
    hint: expect.stringContaining("slash"),
  });
  await expect(fs.copyToHost(at("s/f"), at("t/f"))).rejects.toMatchObject({ code: "FILE_EXISTS" });
  await fs.copyToHost(at("s/."), at("t"));
  expect(readFileSync(at("t/f"), "utf8")).toBe("new\n");
  expect([namesIn(at("outside")), readFileSync(at("outside/f"), "utf8")]).toEqual([["f"], "old\n"]);
  await fs.copyToHost(at("s/."), at("link/"));
  expect(readFileSync(at("outside/f"), "utf8")).toBe("new\n");
});

test("links in a source are carried and not followed", async () => {
  shell(
    `mkdir s outside t; echo secret >outside/f; ln -s ../outside s/dir; ln -s ../outside/f s/file`,
  );
  await fs.copyFromHost(at("s"), at("t"));
  await fs.copyFromHost(at("s/dir"), at("t/alone"));
  for (const name of ["t/s/dir", "t/s/file", "t/alone"]) {
    expect(lstatSync(at(name)).isSymbolicLink(), name).toBeTrue();
  }
  await fs.copyFromHost(at("s/dir/"), at("t/followed"));
  expect(readFileSync(at("t/followed/f"), "utf8")).toBe("secret\n");
});

test("devices, sockets and pipes are left out and told, and nobody gets set-user-ID on this machine", async () => {
  shell(
    `mkdir s; mkfifo s/pipe; echo x >s/f; chmod 6755 s/f; mkdir s/d; chmod 1777 s/d; mkfifo s/d/pipe`,
  );
  const told = { files: 1, directories: 2, leftOut: 2, leftOutPaths: ["d/pipe", "pipe"] };
  expect(await fs.copyFromHost(at("s"), at("there"))).toMatchObject(told);
  expect(statSync(at("there/f")).mode & 0o7777).toBe(0o6755);
  expect(await fs.copyToHost(at("s"), at("back"))).toMatchObject(told);
  expect(statSync(at("back/f")).mode & 0o7777).toBe(0o755);
  expect(statSync(at("back/d")).mode & 0o7777).toBe(0o777);
  expect(namesIn(at("back"))).toEqual(["d", "f"]);
  await expect(fs.copyToHost(at("s/pipe"), at("x"))).rejects.toMatchObject({
    code: "FILE_UNREADABLE",
  });
  await expect(fs.copyFromHost("/dev/null", at("x"))).rejects.toMatchObject({
    code: "FILE_UNREADABLE",
  });
});

test("a tree is copied to below itself", async () => {
  shell(`mkdir s; echo x >s/f`);
  await fs.copyFromHost(at("s"), at("s/in"));
  await fs.copyToHost(at("s"), at("s/out"));
  expect([namesIn(at("s")), namesIn(at("s/in")), namesIn(at("s/out"))]).toEqual([
    ["f", "in", "out"],
    ["f"],
    ["f", "in"],
  ]);
});

test("a copy that is aborted half-way leaves nothing, in the guest or here", async () => {
  shell(`mkdir s in out; echo x >s/a; head -c 100000000 /dev/zero >s/b`);
  for (const [copy, to] of [[fs.copyFromHost, "in"], [fs.copyToHost, "out"]] as const) {
    const aborted = new AbortController();
    const copying = copy.call(fs, at("s"), at(to), { signal: aborted.signal });
    while (namesIn(at(to)).length === 0) await new Promise((resolve) => setImmediate(resolve));
    aborted.abort();
    await expect(copying).rejects.toBe(aborted.signal.reason);
    while (namesIn(at(to)).length > 0) await fs.exists("/"); // the guest tidies up by itself
  }
}, 30_000);

test("a file that a full file system has no room for is nowhere", async () => {
  // The tmpfs is this test's own, in a mount namespace that only its agent sees.
  mkdirSync(at("small"));
  writeFileSync(at("large"), Buffer.alloc(3 << 20, "x"));
  const { fs: inside } = filesOf(
    agents.startIn(`mount -t tmpfs -o size=1M none ${at("small")}`).agent,
  );
  const full = { code: "FILE_NO_SPACE" };
  await expect(inside.write(at("small/f"), readFileSync(at("large")))).rejects.toMatchObject(full);
  await expect(inside.copyFromHost(at("large"), at("small"))).rejects.toMatchObject(full);
  expect(await inside.list(at("small"))).toEqual([]);
  await inside.write(at("small/f"), "fits");
});

test("a large file keeps every byte both ways", async () => {
  shell(`head -c 50000000 /dev/urandom >large`);
  const hash = (path: string) => createHash("sha256").update(readFileSync(path)).digest("hex");
  const report = await fs.copyFromHost(at("large"), at("there"));
  expect(report).toMatchObject({ files: 1, bytes: 50_000_000 });
  await fs.copyToHost(at("there"), at("back"));
  expect(hash(at("back"))).toBe(hash(at("large")));
}, 60_000);
