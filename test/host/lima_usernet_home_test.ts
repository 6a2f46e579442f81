import { afterAll, beforeAll, expect, test } from "bun:test";
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import process from "node:process";
import { openUsernetHome } from "../../lib/host/lima/usernet_home.ts";
import {
  requireShortEnough,
  usernetHome,
  usernetHomeOf,
  usernetNames,
} from "../../lib/host/lima/usernet_place.ts";
import { connectTo } from "../../lib/host/unix_socket.ts";

let top: string;
let count = 0;
const before = process.env["XDG_DATA_HOME"];
beforeAll(() => {
  top = realpathSync(mkdtempSync(join(tmpdir(), "sbx-uh-")));
});
afterAll(() => {
  if (before === undefined) delete process.env["XDG_DATA_HOME"];
  else process.env["XDG_DATA_HOME"] = before;
  Bun.spawnSync(["chmod", "-R", "u+w", top]);
  rmSync(top, { recursive: true, force: true });
});

const newHome = () => join(top, `h${++count}`);
const network = (home: string) => join(home, "_networks/sbx");
const networks = (home: string) => join(home, "_config/networks.yaml");
const pidFile = (home: string) => join(network(home), "usernet_sbx.pid");

/** What Lima's usernet.Start (2.2) comes to in a home, for a user who is not root. */
function daemonOf(home: string): "starts its own" | "takes it for running" | "fails" {
  if (!existsSync(networks(home))) return "fails"; // Lima knows of no such network
  const directory = network(home);
  if (!existsSync(directory)) return "starts its own";
  const pid = Number(readFileSync(pidFile(home), "utf8").trim() || NaN);
  if (Number.isInteger(pid) && isThere(pid)) return "takes it for running";
  return (statSync(directory).mode & 0o222) === 0 ? "fails" : "starts its own";
}

function isThere(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as { readonly code?: string }).code === "EPERM";
  }
}

test.each([
  ["opened", "fails"],
  ["listening", "fails"],
  ["announced", "takes it for running"],
  ["replaced", "takes it for running"],
  ["left", "fails"],
])("once it is %s Lima's own daemon %s; after kill -9 it cannot start", async (step, meanwhile) => {
  const home = newHome();
  const script = resolve(import.meta.dirname, "../support/lima/usernet_steps.ts");
  const child = spawn(process.execPath, [script, home, step], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  try {
    await once(child.stdout, "data");
    expect(daemonOf(home)).toBe(meanwhile as ReturnType<typeof daemonOf>);
    expect(statSync(network(home)).mode & 0o777).toBe(0o555);
  } finally {
    child.kill("SIGKILL");
    await once(child, "close");
  }
  expect(daemonOf(home)).toBe("fails");
  const again = await openUsernetHome(home);
  expect(existsSync(again.sockets.ep)).toBe(false);
  again.leave();
});

test("while the closed directory is replaced Lima knows of no network", async () => {
  const home = newHome();
  (await openUsernetHome(home)).leave();
  chmodSync(network(home), 0o700);
  rmSync(join(home, "_networks"), { recursive: true });
  symlinkSync("/proc/self", join(home, "_networks")); // where nobody can make anything
  await expect(openUsernetHome(home)).rejects.toMatchObject({ code: "FILE_UNREADABLE" });
  expect(existsSync(networks(home))).toBe(false);
  rmSync(join(home, "_networks"));
  (await openUsernetHome(home)).leave();
  expect([existsSync(networks(home)), daemonOf(home)]).toEqual([true, "fails"]);
});

test.each([
  ["its guest", (home: string) => basename(home)],
  ["another, as Lima's clone and rename make them", () => "other"],
])("a home with %s in it is not removed, by whomever that was made", async (_, nameIn) => {
  const home = newHome();
  const place = await openUsernetHome(home);
  const disk = join(home, nameIn(home), "disk");
  mkdirSync(dirname(disk));
  writeFileSync(disk, "mine");
  expect(place.remove()).toBe(false);
  expect(readFileSync(disk, "utf8")).toBe("mine");
  expect(daemonOf(home)).toBe("fails");
  rmSync(dirname(disk), { recursive: true });
  expect(place.remove()).toBe(true);
  expect(existsSync(home)).toBe(false);
});

test("who has left announces nothing", async () => {
  const home = newHome();
  const place = await openUsernetHome(home);
  place.leave();
  place.announce();
  expect(readFileSync(pidFile(home), "utf8")).toBe("");
});

test("what listens is reached by the paths that Lima knows", async () => {
  const home = newHome();
  const place = await openUsernetHome(home);
  const server = createServer((socket) => socket.end("here"));
  await once(server.listen(place.sockets.ep), "listening");
  place.announce();
  const socket = await connectTo(join(network(home), "sbx_ep.sock"));
  const [said] = await once(socket, "data");
  expect(`${said}`).toBe("here");
  socket.destroy();
  place.leave();
  server.close();
});

test("a home has one sbx, and another one changes nothing in it", async () => {
  const home = newHome();
  const place = await openUsernetHome(home);
  writeFileSync(place.sockets.ep, "");
  place.announce();
  await expect(openUsernetHome(home)).rejects.toMatchObject({ code: "LIMA_INSTANCE" });
  expect(place.disturbed()).toBeUndefined();
  place.leave();
  place.leave(); // twice does no harm
});

test("whoever changes the place is seen", async () => {
  const games: readonly (readonly [RegExp, (home: string) => void])[] = [
    [/pidfile/, (home) => writeFileSync(pidFile(home), "1\n")],
    [/stands open/, (home) => chmodSync(network(home), 0o755)],
    [/listens/, (home) => {
      renameSync(join(home, "_sbx/ep.sock"), join(home, "_sbx/was"));
      writeFileSync(join(home, "_sbx/ep.sock"), "");
    }],
    [/listens/, (home) => {
      chmodSync(network(home), 0o755);
      rmSync(join(network(home), "sbx_fd.sock"));
      chmodSync(network(home), 0o555);
    }],
    [/cannot be read/, (home) => {
      chmodSync(network(home), 0o755);
      rmSync(network(home), { recursive: true });
    }],
  ];
  for (const [says, play] of games) {
    const home = newHome();
    const place = await openUsernetHome(home);
    for (const path of [place.sockets.ep, place.sockets.fd]) writeFileSync(path, "");
    place.announce();
    rmSync(place.sockets.fd); // its guest was plugged in
    expect(place.disturbed()).toBeUndefined();
    play(home);
    expect(place.disturbed()).toMatch(says);
    place.leave();
    const again = await openUsernetHome(home); // and put right at the next start
    expect(daemonOf(home)).toBe("fails");
    again.remove();
    expect(existsSync(home)).toBe(false);
    again.leave();
  }
});

test("homes are found without their links, and only those with a guest", () => {
  const [real, link] = [join(top, "real"), join(top, "link")];
  mkdirSync(join(real, "sbx/lima-homes/dev/dev"), { recursive: true });
  mkdirSync(join(real, "sbx/lima-homes/half"));
  writeFileSync(join(real, "sbx/lima-homes/.DS_Store"), "");
  writeFileSync(join(real, "sbx/lima-homes/dev/dev/lima.yaml"), "");
  symlinkSync(real, link);
  process.env["XDG_DATA_HOME"] = link;
  const home = join(real, "sbx/lima-homes/dev");
  expect(usernetHome("dev")).toBe(home);
  expect(usernetHomeOf({ name: "dev", dir: join(home, "dev") })).toBe(home);
  expect(usernetHomeOf({ name: "dev", dir: join(top, ".lima/dev") })).toBeUndefined();
  expect(usernetNames()).toEqual(["dev"]);
});

test("a path that is too long for sockets is refused before anything is made", async () => {
  const home = join(top, "n".repeat(63));
  await expect(openUsernetHome(home)).rejects.toMatchObject({
    code: "LIMA_INSTANCE",
    hint: "give it a shorter name, or point XDG_DATA_HOME at a directory with a shorter path",
  });
  expect(existsSync(home)).toBe(false);
  expect(() => requireShortEnough(join(top, "n"))).not.toThrow();
});
