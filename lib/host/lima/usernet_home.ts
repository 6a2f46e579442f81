/**
 * A home of Lima's for one guest whose network is sbx's, while Lima's own driver runs it. Lima would start a
 * daemon of its own behind the network where none is: the directory that the daemon would need is closed to it,
 * so that without sbx no guest starts.
 *
 * ```
 * HOME/_config/networks.yaml       one network, `sbx`, of Lima's kind user-v2
 * HOME/_networks/sbx/              mode 0555: nothing can be made in it while sbx is not there
 *   leases.json                    made before, as Lima writes it at the end
 *   usernet_sbx.pid                the process behind the network; empty: nobody
 *   sbx_{ep,qemu,fd}.sock          while it runs
 * ```
 *
 * @module
 */
import { chmodSync, lstatSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { lstat, mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import process from "node:process";
import { SbxError } from "../../base/errors.ts";
import { fileError } from "../../base/file_error.ts";
import { USERNET } from "../../guest/lima/usernet.ts";
import { type FileLock, lockFile } from "../file_lock.ts";
import { dataDir } from "../paths.ts";
import { requireOwn } from "../private_place.ts";

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

/** Where the guest of a name has its home, whether it is there or not. */
export function usernetHome(name: string): string {
  return join(homes(), name);
}

/** The names of all that are there. */
export function usernetNames(): readonly string[] {
  try {
    return readdirSync(homes()).sort();
  } catch {
    return []; // none was ever made
  }
}

/** The home of an instance by its directory; undefined for one of another home. */
export function usernetHomeOf(instance: string): string | undefined {
  const home = dirname(instance);
  return dirname(home) === homes() ? home : undefined;
}

function homes(): string {
  return join(dataDir(), "lima-homes");
}

/** The guest and all that was kept of it are gone. */
export function removeUsernetHome(home: string): void {
  try {
    chmodSync(networkOf(home), OPEN);
  } catch {
    // It was never closed.
  }
  rmSync(home, { recursive: true, force: true });
}

/**
 * Makes it, or closes what stands open in it.
 *
 * @throws SbxError FILE_UNREADABLE
 */
export async function makeUsernetHome(home: string): Promise<void> {
  await requireOwn(home, PLACE);
  const network = networkOf(home);
  try {
    for (const directory of [join(home, "_config"), network]) {
      await mkdir(directory, { recursive: true, mode: OPEN });
    }
    chmodSync(network, OPEN);
    writeFileSync(join(home, "_config/networks.yaml"), NETWORKS, { mode: 0o600 });
    for (const [name, text] of [["leases.json", "{}\n"], [PID_FILE, ""]] as const) {
      writeFileSync(join(network, name), text, { mode: 0o600, flag: "a" });
    }
    chmodSync(network, CLOSED);
  } catch (cause) {
    throw fileError("prepare the home of Lima's guest in", home, cause);
  }
}

const PID_FILE = `usernet_${USERNET}.pid`;

function networkOf(home: string): string {
  return join(home, "_networks", USERNET);
}

export interface UsernetPlace {
  /** Where Lima asks, and where QEMU and VZ plug in. */
  readonly sockets: Readonly<Record<"ep" | "qemu" | "fd", string>>;
  /** Nothing more is made here. Called once the sockets listen that are to. */
  close(): Promise<void>;
  /** What is not as it was closed; undefined: nothing. */
  disturbed(): string | undefined;
  /** Lima finds nobody here any more. */
  leave(): void;
}

/**
 * Takes the place of Lima's daemon.
 *
 * @throws SbxError LIMA_INSTANCE while another process is in it, FILE_UNREADABLE
 */
export async function takeUsernetPlace(home: string): Promise<UsernetPlace> {
  await makeUsernetHome(home);
  const network = networkOf(home);
  const lock = lockFile(join(home, "sbx.lock"));
  if (lock === null) {
    throw new SbxError("LIMA_INSTANCE", "Cannot start the guest: another sbx is its network", {
      hint: "stop it first, or wait until it is gone",
    });
  }
  const socket = (kind: string) => join(network, `${USERNET}_${kind}.sock`);
  const sockets = { ep: socket("ep"), qemu: socket("qemu"), fd: socket("fd") };
  try {
    // Whoever looks from now on finds a daemon that lives.
    writeFileSync(join(network, PID_FILE), `${process.pid}\n`);
    chmodSync(network, OPEN);
    for (const path of Object.values(sockets)) rmSync(path, { force: true });
  } catch (cause) {
    lock.release();
    throw fileError("take the network of Lima's guest in", network, cause);
  }
  return new Place(network, sockets, lock);
}

class Place implements UsernetPlace {
  readonly sockets: UsernetPlace["sockets"];
  readonly #network: string;
  readonly #lock: FileLock;
  #closed: readonly string[] = [];

  constructor(network: string, sockets: UsernetPlace["sockets"], lock: FileLock) {
    this.#network = network;
    this.sockets = sockets;
    this.#lock = lock;
  }

  async close(): Promise<void> {
    chmodSync(this.#network, CLOSED);
    for (const path of Object.values(this.sockets)) {
      if (await lstat(path).catch(() => null) !== null) chmodSync(path, 0o600);
    }
    this.#closed = this.#look();
  }

  disturbed(): string | undefined {
    const now = this.#look();
    const [pid = "", mode = ""] = now;
    if (pid !== `${process.pid}`) return "its pidfile names another process";
    if (mode !== CLOSED.toString(8)) return "the directory of its network stands open";
    return now.join() === this.#closed.join() ? undefined : "somebody else listens for its network";
  }

  leave(): void {
    try {
      if (this.#look()[0] === `${process.pid}`) writeFileSync(join(this.#network, PID_FILE), "");
    } finally {
      this.#lock.release();
    }
  }

  /** Who is said to be behind the network, the directory's mode, and which files are in it. */
  #look(): readonly string[] {
    try {
      const { mode, ino } = lstatSync(this.#network);
      const names = readdirSync(this.#network).sort();
      return [
        readFileSync(join(this.#network, PID_FILE), "latin1").trim(),
        (mode & 0o7777).toString(8),
        `${ino}`,
        ...names.map((name) => `${name}=${lstatSync(join(this.#network, name)).ino}`),
      ];
    } catch {
      return [];
    }
  }
}
