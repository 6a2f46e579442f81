/**
 * What sbx asks of a system means the same on each: Linux's real calls, and macOS's as they are made of
 * them here. The same tests run on a Mac's own.
 */
import { afterAll, describe, expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import {
  closeSync,
  existsSync,
  fstatSync,
  ftruncateSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { linuxSystem } from "../../lib/host/linux/system.ts";
import { parseStart } from "../../lib/host/macos/processes.ts";
import { macSystem } from "../../lib/host/macos/system.ts";
import type { HostSystem } from "../../lib/host/system.ts";
import { macCallsOfLinux, type MacState, openOfMac } from "../support/mac_calls.ts";

const MIB = 1 << 20;
const place = realpathSync(mkdtempSync(join(tmpdir(), "sbx-system-")));
const state: MacState = { limits: new Map() };
const children: ChildProcess[] = [];
afterAll(() => {
  for (const child of children) child.kill("SIGKILL");
  rmSync(place, { recursive: true, force: true });
});

let number = 0;
const fresh = () => join(place, String(number++));

function fdOf(socket: Socket): number {
  return (socket as unknown as { _handle: { fd?: number } })._handle.fd ?? -1;
}

const SYSTEMS: readonly (readonly [string, HostSystem])[] = process.platform === "darwin"
  ? [["macOS", macSystem()]]
  : [
    ["Linux", linuxSystem()],
    ["macOS, made of Linux", macSystem(() => macCallsOfLinux(state), openOfMac)],
  ];

describe.each(SYSTEMS)("%s", (system, { files, sockets, processes }) => {
  test("a lock keeps others out, and one beside others keeps out who wants it alone", () => {
    const path = fresh();
    const [one, other, third] = [openSync(path, "w"), openSync(path, "r"), openSync(path, "r")];
    expect(files.tryLock(one)).toBe(true);
    expect([files.tryLock(other), files.tryShare(other)]).toEqual([false, false]);
    closeSync(one);
    expect([files.tryShare(other), files.tryShare(third)]).toEqual([true, true]);
    expect(files.tryLock(third)).toBe(false);
    closeSync(other);
    expect(files.tryLock(third)).toBe(true);
    closeSync(third);
  });

  test("attributes that are users' own are set, listed and read, where a system has such", () => {
    const fd = openSync(fresh(), "w+");
    const names = ["user.a", `user.${"\xff".repeat(3)}`, "user.empty"].map((name) =>
      Buffer.from(name, "latin1")
    );
    const values = ["one", "\0", ""].map((value) => Buffer.from(value));
    const set = names.map((name, at) =>
      files.setAttribute(fd, name, values[at] ?? Buffer.alloc(0))
    );
    if (system.startsWith("macOS")) {
      expect([set, files.attributeNames(fd)]).toEqual([[false, false, false], []]);
    } else {
      expect(set).toEqual([true, true, true]);
      expect([...files.attributeNames(fd)].sort(Buffer.compare)).toEqual(
        [...names].sort(Buffer.compare),
      );
      expect(names.map((name) => files.attribute(fd, name))).toEqual(values);
      expect(files.setAttribute(fd, Buffer.from("user.b"), Buffer.alloc(65_537))).toBe(false);
    }
    expect(files.attribute(fd, Buffer.from("user.none"))).toBeNull();
    closeSync(fd);
  });

  test("data of a sparse file is found where it is", () => {
    const fd = openSync(fresh(), "w+");
    ftruncateSync(fd, 64 * MIB);
    writeSync(fd, "here", 8 * MIB);
    const first = files.extentAt(fd, 0);
    expect(first?.from).toBeGreaterThan(8 * MIB - 65537);
    expect(first?.from).toBeLessThanOrEqual(8 * MIB);
    expect(first?.to).toBeGreaterThanOrEqual(8 * MIB + 4);
    expect(first?.to).toBeLessThan(9 * MIB);
    expect(files.extentAt(fd, first?.to ?? 0)).toBeNull();
    closeSync(fd);
  });

  test.each([1n, 1_700_000_000_123_456_789n, -1n, -5_000_000_001n])(
    "the time of a change is kept to the nanosecond: %s",
    (ns) => {
      const path = fresh();
      const fd = openSync(path, "w");
      const read = statSync(path, { bigint: true }).atimeNs;
      expect(files.setTime(fd, ns)).toBe(true);
      expect(fstatSync(fd, { bigint: true }).mtimeNs).toBe(ns);
      expect(fstatSync(fd, { bigint: true }).atimeNs).toBe(read);
      closeSync(fd);
      const link = fresh();
      symlinkSync(path, link);
      expect(files.setLinkTime(Buffer.from(link), ns + 7n)).toBe(true);
      expect(lstatSync(link, { bigint: true }).mtimeNs).toBe(ns + 7n);
      expect(statSync(path, { bigint: true }).mtimeNs).toBe(ns);
    },
  );

  test("a directory is opened by the path that it has, and by none with a link in it", () => {
    const directory = fresh();
    mkdirSync(join(directory, "in/side"), { recursive: true });
    const fd = files.openExactly(join(directory, "in/side"));
    expect(fd).not.toBeNull();
    expect(fstatSync(fd ?? -1).ino).toBe(statSync(join(directory, "in/side")).ino);
    closeSync(fd ?? -1);
    symlinkSync("in", join(directory, "link"));
    expect(files.openExactly(join(directory, "link/side"))).toBeNull();
    expect(() => files.openExactly(join(directory, "not/there"))).toThrow("ENOENT");
    expect(() => files.openExactly(fresh())).toThrow("ENOENT");
  });

  test("names in an open directory are below its place", () => {
    const directory = fresh();
    mkdirSync(directory);
    writeFileSync(join(directory, "file"), "content");
    const fd = openSync(directory, "r");
    const path = Buffer.concat([files.inside(fd, Buffer.from(directory)), Buffer.from("file")]);
    expect(readFileSync(path, "utf8")).toBe("content");
    closeSync(fd);
  });

  test("who connected a socket is known, and its other end, and neither of what is none", async () => {
    const path = fresh();
    const accepted = Promise.withResolvers<Socket>();
    const server = createServer(accepted.resolve).listen(path);
    await once(server, "listening");
    const client = connect(path);
    const socket = await accepted.promise;
    expect(sockets.peerUser(fdOf(socket))).toBe(process.geteuid?.() ?? -1);
    const inodes = [client, socket].map((one) => String(fstatSync(fdOf(one)).ino));
    const peers = system === "Linux" ? [...inodes].reverse() : [undefined, undefined];
    expect(inodes.map((inode) => sockets.peerOf(inode))).toEqual(peers);
    expect(sockets.peerOf("1")).toBeUndefined();
    client.destroy();
    socket.destroy();
    server.close();
    const file = openSync(fresh(), "w");
    expect(sockets.peerUser(file)).toBeUndefined();
    closeSync(file);
  });

  test("a socket is reached at a path that is too long for one, and nothing is left", async () => {
    const directory = join(fresh(), "d".repeat(90), "e".repeat(90));
    mkdirSync(directory, { recursive: true });
    const path = join(directory, "socket");
    const [there, here] = [sockets.shortened(path), sockets.shortened(path)];
    expect(Buffer.byteLength(there.path)).toBeLessThan(104);
    const server = createServer((socket) => socket.end("hello")).listen(there.path);
    await once(server, "listening");
    there.close();
    expect(existsSync(path)).toBe(true);
    const client = connect(here.path);
    const [said] = await once(client, "data");
    expect(String(said)).toBe("hello");
    here.close();
    client.destroy();
    server.close();
    expect([there, here].map((one) => existsSync(dirname(one.path)))).toEqual([false, false]);
  });

  test("what a process was started with is told byte by byte, and that it is a child", async () => {
    const script = "echo ready; read -r _";
    const child = spawn("sh", ["-c", script, "two words", "", "ü"], {
      stdio: ["pipe", "pipe", "ignore"],
    });
    children.push(child);
    await once(child.stdout, "data");
    const pid = child.pid ?? -1;
    const argv = processes.argumentsOf(pid)?.map((one) => Buffer.from(one).toString());
    expect(argv).toEqual(["sh", "-c", script, "two words", "", "ü"]);
    expect(processes.childrenOf(process.pid)).toContain(pid);
    child.kill("SIGKILL");
    await once(child, "exit");
    expect(processes.argumentsOf(pid)).toBeNull();
    expect(processes.childrenOf(process.pid)).not.toContain(pid);
    expect(processes.usageOf(pid)).toBeNull();
  });

  test("this process knows its own arguments and environment", () => {
    const own = processes.ownStrings();
    const text = (strings: readonly Uint8Array[] = []) =>
      strings.map((one) => Buffer.from(one).toString());
    expect(text(own?.arguments).length).toBeGreaterThan(0);
    expect(text(own?.environment)).toContain(`PATH=${process.env["PATH"]}`);
    expect(text(own?.environment)).not.toContain("executable_path=/x");
  });

  test("time on processors is told in milliseconds, and memory in bytes", () => {
    const before = processes.usageOf(process.pid);
    const until = performance.now() + 300;
    while (performance.now() < until);
    const after = processes.usageOf(process.pid);
    const spent = (after?.cpuMs ?? 0) - (before?.cpuMs ?? 0);
    const real = process.cpuUsage();
    expect(spent).toBeGreaterThanOrEqual(10);
    expect(after?.cpuMs).toBeLessThanOrEqual((real.user + real.system) / 1000 + 100);
    expect(after?.rssBytes).toBeGreaterThan(10 * MIB);
    expect(after?.rssBytes).toBeLessThan(8192 * MIB);
  });

  test("files that are open are counted against the limit", () => {
    const before = processes.filesOpen();
    const opened = [1, 2, 3].map(() => openSync("/dev/null", "r"));
    expect(processes.filesOpen() - before).toBe(3);
    for (const fd of opened) closeSync(fd);
    const { soft, hard } = processes.fileLimit();
    expect(soft).toBeGreaterThan(before);
    expect(hard).toBeGreaterThanOrEqual(soft);
  });

  test("a boot has a name, which is one of a file as well", () => {
    expect(processes.bootId()).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i);
  });

  test("root may do what others may not", () => {
    const { capabilities, uidMap } = processes.rights();
    const CAP_CHOWN = 1n;
    expect(capabilities & CAP_CHOWN).toBe(process.geteuid?.() === 0 ? CAP_CHOWN : 0n);
    expect(uidMap).toMatch(/^ *\d+ +\d+ +\d+/);
  });
});

/** Of those that the runtime has closed streams' places filled in, in a process of its own. */
test.each(
  [
    ["nothing", "", []],
    ["the null device", "</dev/null >/dev/null", []],
    ["a closed input", "<&-", [0]],
    ["a closed output and errors", ">&- 2>&-", [1, 2]],
  ] as const,
)("with %s, the streams that were closed are known on each system", async (_, how, closed) => {
  const out = fresh();
  const script = join(import.meta.dirname, "../support/closed_streams.ts");
  const child = spawn("sh", ["-c", `exec "$0" "$1" "$2" ${how}`, process.execPath, script, out], {
    stdio: "ignore",
  });
  await once(child, "exit");
  for (const [system, found] of Object.entries(JSON.parse(readFileSync(out, "utf8")))) {
    expect([system, found]).toEqual([system, [...closed]]);
  }
});

test("on macOS core dumps are limited to nothing", () => {
  if (process.platform === "darwin") return;
  SYSTEMS[1]?.[1].processes.withoutCoreDumps();
  const RLIMIT_CORE = 4;
  expect(state.limits.get(RLIMIT_CORE)).toBe(0n);
});

test("without calls to ask, nothing is known and nothing is held", () => {
  const fd = openSync(fresh(), "w");
  for (const { files, sockets } of [linuxSystem(() => null), macSystem(() => null)]) {
    expect([files.tryLock(fd), files.tryShare(fd)]).toEqual([false, false]);
    expect(files.extentAt(fd, 0)).toBeUndefined();
    expect(files.setTime(fd, 1n)).toBe(false);
    expect(files.setLinkTime(Buffer.from(place), 1n)).toBe(false);
    expect(sockets.peerUser(fd)).toBeUndefined();
    expect(sockets.peerOf("1")).toBeUndefined();
  }
  closeSync(fd);
  const { processes } = macSystem(() => null);
  expect(processes.argumentsOf(process.pid)).toBeNull();
  expect(processes.usageOf(process.pid)).toBeNull();
  expect(processes.childrenOf(process.pid)).toEqual([]);
  expect(processes.fileLimit().soft).toBe(Infinity);
  expect(processes.isFilledIn(0)).toBe(false);
  expect(processes.bootId()).toBeNull();
});

test.each(
  [
    ["nothing", "", null],
    ["a number alone", "\x01\0\0\0", null],
    ["a program without an end", "\x01\0\0\0/bin/sh", null],
    ["fewer arguments than it says", "\x03\0\0\0/bin/sh\0\0\0sh\0-c\0", null],
    ["a negative number of them", "\xff\xff\xff\xff/bin/sh\0\0sh\0", null],
    ["no environment", "\x01\0\0\0/bin/sh\0\0\0sh\0", [["sh"], []]],
    ["what the kernel adds", "\x02\0\0\0/x\0\0a\0\0B=c\0\0ptr=\0", [["a", ""], ["B=c"]]],
  ] as const,
)("how a Mac tells what a process was started with: %s", (_, text, expected) => {
  const found = parseStart(new Uint8Array(Buffer.from(text, "latin1")));
  const texts = (strings: readonly Uint8Array[]) => strings.map((one) => String(Buffer.from(one)));
  expect(found === null ? null : [texts(found.arguments), texts(found.environment)])
    .toEqual(expected === null ? null : expected.map((strings) => [...strings]));
});
