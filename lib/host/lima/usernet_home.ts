/**
 * A home of Lima's for one guest whose network is sbx's, while Lima's own driver runs it. Lima would start a daemon
 * of its own behind the network where none is. The directory that the daemon would need is closed to it from the
 * moment that it is there: the sockets in it are links to another one, so that sbx never has to open it, and
 * wherever sbx ends, by kill -9 as well, the guest has no network.
 *
 * ```
 * HOME/_config/networks.yaml       one network, `sbx`, of Lima's kind user-v2
 * HOME/_networks/sbx/              mode 0555: nothing can be made in it
 *   leases.json                    made before, as Lima writes it at the end
 *   usernet_sbx.pid                the process behind the network; empty: nobody
 *   sbx_{ep,qemu,fd}.sock          links to
 * HOME/_sbx/{ep,qemu,fd}.sock      which are there while it runs, and `lock` is held
 * ```
 *
 * @module
 */
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { SbxError } from "../../base/errors.ts";
import { fileError } from "../../base/file_error.ts";
import { USERNET } from "../../guest/lima/usernet.ts";
import { type FileLock, lockFile } from "../file_lock.ts";
import { requireOwn } from "../private_place.ts";
import { instancesIn, requireShortEnough } from "./usernet_place.ts";

const PLACE = { what: "the home of Lima's guests", variable: "XDG_DATA_HOME" };

const CLOSED = 0o555;
const OPEN = 0o700;

/** The third address of the network is the gateway, as in the network that Lima has without this one. */
const NETWORKS = `# sbx wrote this: the network of the guest in this home, which is sbx itself.
networks:
  ${USERNET}:
    mode: user-v2
    gateway: 192.168.5.1
    netmask: 255.255.255.0
`;

const PID_FILE = `usernet_${USERNET}.pid`;
const FILES = { "leases.json": "{}\n", [PID_FILE]: "" } as const;
const KINDS = ["ep", "qemu", "fd"] as const;

/** One that this process alone has. */
export interface UsernetHome {
  /** Where to listen for Lima's questions, and for QEMU and VZ. */
  readonly sockets: Readonly<Record<typeof KINDS[number], string>>;
  /** Lima finds a daemon that lives from here on. Called once the sockets listen that are to. */
  announce(): void;
  /** What is not as it was then; undefined: nothing. */
  disturbed(): string | undefined;
  /**
   * Removes it, and leaves it; false, and all is as it was, while any instance of Lima's is in it, which has a disk.
   *
   * @throws SbxError FILE_UNREADABLE
   */
  remove(): boolean;
  /** Lima finds nobody here any more; false: it never found anybody. Does not throw. */
  withdraw(): boolean;
  /** The same, and another process may have it. */
  leave(): void;
}

/**
 * Makes it, or puts right what is wrong with it.
 *
 * @throws SbxError LIMA_INSTANCE while another process has it, or for a path that is too long; FILE_UNREADABLE
 */
export async function openUsernetHome(home: string): Promise<UsernetHome> {
  requireShortEnough(home);
  await requireOwn(home, PLACE);
  const [network, own] = [join(home, "_networks", USERNET), join(home, "_sbx")];
  let lock: FileLock | null = null;
  try {
    for (const name of ["_config", "_networks", "_sbx"]) {
      await mkdir(join(home, name), { recursive: true, mode: OPEN });
    }
    lock = lockFile(join(own, "lock"));
    if (lock === null) {
      throw new SbxError("LIMA_INSTANCE", "Cannot use the guest's home: another sbx has it", {
        hint: "stop the guest first, or wait until it is gone",
      });
    }
    // Nothing of it is touched before the lock is held: another sbx may be this guest's network.
    if (isIntact(network)) chmodSync(network, CLOSED);
    else {
      // For a moment there is no such directory: without the network's entry Lima starts no daemon for it.
      rmSync(networksIn(home), { force: true });
      replace(network);
    }
    writeFileSync(join(network, PID_FILE), "");
    writeFileSync(networksIn(home), NETWORKS, { mode: 0o600 });
    for (const kind of KINDS) rmSync(socketIn(own, kind), { force: true });
    return new Held(home, network, own, lock);
  } catch (cause) {
    lock?.release();
    if (cause instanceof SbxError) throw cause;
    throw fileError("prepare the home of Lima's guest in", home, cause);
  }
}

function networksIn(home: string): string {
  return join(home, "_config/networks.yaml");
}

function socketIn(own: string, kind: string): string {
  return join(own, `${kind}.sock`);
}

/** What the name of each link leads to. */
function linksOf(): readonly (readonly [name: string, target: string])[] {
  return KINDS.map((kind) => [`${USERNET}_${kind}.sock`, `../../_sbx/${kind}.sock`]);
}

function isIntact(network: string): boolean {
  try {
    const expected = [...Object.keys(FILES), ...linksOf().map(([name]) => name)].sort();
    return lstatSync(network).isDirectory() &&
      readdirSync(network).sort().join() === expected.join() &&
      Object.keys(FILES).every((name) => lstatSync(join(network, name)).isFile()) &&
      linksOf().every(([name, target]) => readlinkSync(join(network, name)) === target);
  } catch {
    return false;
  }
}

/** It is closed before it has its name. */
function replace(network: string): void {
  const [fresh, old] = [`${network}.new`, `${network}.old`];
  for (const rest of [fresh, old]) removeClosed(rest);
  mkdirSync(fresh, { mode: OPEN });
  for (const [name, text] of Object.entries(FILES)) {
    writeFileSync(join(fresh, name), text, { mode: 0o600 });
  }
  for (const [name, target] of linksOf()) symlinkSync(target, join(fresh, name));
  chmodSync(fresh, CLOSED);
  if (lstatSync(network, { throwIfNoEntry: false }) !== undefined) renameSync(network, old);
  renameSync(fresh, network);
  removeClosed(old);
}

function removeClosed(directory: string): void {
  const found = lstatSync(directory, { throwIfNoEntry: false });
  if (found?.isDirectory()) chmodSync(directory, OPEN);
  rmSync(directory, { recursive: true, force: true });
}

class Held implements UsernetHome {
  readonly sockets: UsernetHome["sockets"];
  readonly #home: string;
  readonly #network: string;
  readonly #lock: FileLock;
  #announced: readonly string[] = [];
  #withdrawn = false;
  #left = false;

  constructor(home: string, network: string, own: string, lock: FileLock) {
    this.#home = home;
    this.#network = network;
    this.#lock = lock;
    const [ep, qemu, fd] = [socketIn(own, "ep"), socketIn(own, "qemu"), socketIn(own, "fd")];
    this.sockets = { ep, qemu, fd };
  }

  announce(): void {
    if (this.#left || this.#withdrawn) return;
    for (const path of Object.values(this.sockets)) {
      if (lstatSync(path, { throwIfNoEntry: false }) !== undefined) chmodSync(path, 0o600);
    }
    writeFileSync(join(this.#network, PID_FILE), `${process.pid}\n`);
    this.#announced = this.#look();
  }

  disturbed(): string | undefined {
    const now = this.#look();
    if (now.length === 0) return "the directory of its network cannot be read";
    const [pid = "", mode = ""] = now;
    if (pid !== `${process.pid}`) return "its pidfile names another process";
    if (mode !== CLOSED.toString(8)) return "the directory of its network stands open";
    return now.join() === this.#announced.join()
      ? undefined
      : "somebody else listens for its network";
  }

  remove(): boolean {
    // Lima's clone and rename make others than the one that the home is for.
    if (instancesIn(this.#home).length > 0) return false;
    this.#left = true;
    try {
      rmSync(networksIn(this.#home), { force: true });
      removeClosed(this.#network);
      rmSync(this.#home, { recursive: true, force: true });
      return true;
    } catch (cause) {
      throw fileError("remove the home of Lima's guest in", this.#home, cause);
    } finally {
      this.#lock.release();
    }
  }

  withdraw(): boolean {
    this.#withdrawn = true;
    if (this.#left) return false;
    try {
      const isNamed = this.#look()[0] === `${process.pid}`;
      if (isNamed) writeFileSync(join(this.#network, PID_FILE), "");
      return isNamed;
    } catch {
      return false; // it was removed, or the disk is full: the directory is closed, and nobody listens
    }
  }

  leave(): void {
    if (this.#left) return;
    this.withdraw();
    this.#left = true;
    this.#lock.release();
  }

  /**
   * Who is said to be behind the network, the directory's mode, and which files are in it; where Lima asks. The
   * socket for the guest is gone once it is plugged in.
   */
  #look(): readonly string[] {
    try {
      const { mode, ino } = lstatSync(this.#network);
      const names = readdirSync(this.#network).sort();
      return [
        readFileSync(join(this.#network, PID_FILE), "latin1").trim(),
        (mode & 0o7777).toString(8),
        `${ino}`,
        ...names.map((name) => `${name}=${lstatSync(join(this.#network, name)).ino}`),
        `${lstatSync(this.sockets.ep).ino}`,
      ];
    } catch {
      return [];
    }
  }
}
