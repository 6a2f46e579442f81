/**
 * Makes a template: boots a machine that is nobody's, prepares it as far as all have it in common, and saves it.
 * It is given no plan of anybody's guest, so nothing of one can be in it.
 *
 * ```
 * claimed ── booted, prepared, settled ──► saved ── on disk ──► kept
 *    └──────────── any failure, the time limit ──────────────► nothing
 * ```
 *
 * @module
 */
import { chmod, open, rm } from "node:fs/promises";
import { Buffer } from "node:buffer";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { SbxError } from "../../base/errors.ts";
import { fileError } from "../../base/file_error.ts";
import { untilAborted } from "../../base/until.ts";
import { preparation, type RootEntries } from "../configuration.ts";
import type { CommonPlan } from "../plan.ts";
import type { SaveOptions, TemplateBuild } from "../provider.ts";
import { packTar } from "../root/tar.ts";
import {
  claim,
  discard,
  failedLately,
  findTemplate,
  keep,
  MEMORY,
  noteFailure,
  type Owners,
} from "../template/store.ts";
import { QemuGuest } from "./guest.ts";
import { BOOT, type QemuHost } from "./launch.ts";
import { savedLaunchOf } from "./launch_of.ts";
import type { Machine } from "./machine.ts";
import { saveState } from "./migration.ts";
import { Monitor } from "./monitor.ts";
import {
  epoch,
  ownersOf,
  ROOTLESS_MODULES,
  sizeOf,
  TEMPLATE_MODULES,
  templateDirectory,
} from "./template_machine.ts";

/** The agent was called once, to prepare or to load. */
const CALLS = 1;

/**
 * What a kernel has begun at its boot it ends within a second or two: it measures its counter once more, and
 * tells its link's neighbours of itself. Whoever went on from before that would do it each time.
 */
const SETTLED_MS = 2_000;

/** Under emulation it takes seconds; on a loaded machine, many. */
const LIMIT_MS = 60_000;

const MOST_STATE = 16 << 20;

/** @throws SbxError GUEST_START, FILE_UNREADABLE */
export async function saveTemplate(
  key: string,
  plan: CommonPlan,
  early: RootEntries["early"],
  machine: Machine,
  host: QemuHost,
  { unlessFailed = false, signal }: SaveOptions = {},
): Promise<TemplateBuild> {
  signal?.throwIfAborted();
  const directory = templateDirectory(host);
  await host.requireOwn(directory);
  if (unlessFailed && await failedLately(directory, key)) return { outcome: "failed-lately" };
  const claimed = await claim(directory, key, host.tryLock).catch((cause) => {
    throw fileError("make a template in", directory, cause);
  });
  if (claimed === null) return { outcome: "busy" };
  const { part } = claimed;
  try {
    const kept = await findTemplate(directory, key, ownersOf(host.caller()), epoch(host))
      .catch(async () => (await discard(directory, key), null));
    if (kept !== null) return { outcome: "kept" };
    const state = await bootAndSave(part, plan, early, machine, host, signal);
    const { tscKHz } = machine;
    const facts = {
      size: sizeOf(plan),
      madeAt: Date.now(),
      build: host.build,
      tscKHz,
      calls: CALLS,
    };
    return { outcome: "made", manifest: await keep(part, facts, state, epoch(host)) };
  } catch (cause) {
    signal?.throwIfAborted();
    await noteFailure(directory, key);
    throw cause instanceof SbxError ? cause : fileError("make a template in", directory, cause);
  } finally {
    await claimed.release();
  }
}

async function bootAndSave(
  part: string,
  plan: CommonPlan,
  early: RootEntries["early"],
  machine: Machine,
  host: QemuHost,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  const caller = host.caller();
  const owners = ownersOf(caller);
  const { root } = plan;
  await host.requireSound([...BOOT, ...(root === undefined ? ["disk_modules"] as const : [])]);
  const path = join(part, MEMORY);
  await makeMemory(path, plan.memoryMiB, owners);
  await using state = await listen(join(part, "state.sock"), owners);
  // QEMU may be a user who cannot walk here, but has the directory open.
  await chmod(part, 0o711);
  const memory = { path, use: "write", directory: part } as const;
  const { launch, stateFd } = savedLaunchOf(plan, machine, caller, memory);
  const qemu = host.spawn(launch);
  const guest = new QemuGuest(qemu, machine.found.accelerator);
  try {
    const [socket] = qemu.channels;
    if (socket === undefined) throw new TypeError("a machine without its monitor");
    const monitor = new Monitor(socket);
    const late = delay(LIMIT_MS, undefined, { ref: false }).then(() => {
      throw new SbxError("GUEST_START", "Cannot make a template: it takes too long");
    });
    const saved = (async () => {
      if (root === undefined) await guest.load(ROOTLESS_MODULES, await host.diskModules());
      else await guest.prepare(preparation({ ...plan, root }, TEMPLATE_MODULES), packTar(early));
      await delay(SETTLED_MS);
      await saveState(monitor, statePath(machine, stateFd, part));
      return await state.content;
    })();
    return await untilAborted(Promise.race([saved, late]), signal);
  } finally {
    await guest.stop();
    await chmod(part, 0o700);
  }
}

/** The socket for the state, by the directory that QEMU has open: it may be a user who cannot walk there. */
function statePath({ platform }: Machine, directoryFd: number, directory: string): string {
  const { openFiles } = platform;
  return join(openFiles === undefined ? directory : `${openFiles}/${directoryFd}`, "state.sock");
}

/** A file without content takes no room before the machine writes to it. */
async function makeMemory(path: string, mebibytes: number, owners: Owners): Promise<void> {
  const file = await open(path, "wx", 0o600);
  try {
    await file.truncate(mebibytes * 2 ** 20);
    await file.chmod(0o600 | owners.memory); // whatever the umask
  } finally {
    await file.close();
  }
}

interface Receiver extends AsyncDisposable {
  /** What the one who connects first sends, to its end. */
  readonly content: Promise<Uint8Array>;
}

async function listen(path: string, owners: Owners): Promise<Receiver> {
  const { promise: content, resolve, reject } = Promise.withResolvers<Uint8Array>();
  content.catch(() => {}); // heard of where it is awaited
  const server: Server = createServer((socket) => {
    server.close();
    const chunks: Uint8Array[] = [];
    let size = 0;
    socket.on("data", (chunk: Uint8Array) => {
      chunks.push(chunk);
      size += chunk.length;
      if (size > MOST_STATE) socket.destroy(new RangeError("a state of more than 16 MiB"));
    });
    socket.on("error", reject);
    socket.on("end", () => resolve(new Uint8Array(Buffer.concat(chunks))));
  });
  server.on("error", reject);
  await new Promise<void>((ready, failed) => {
    server.once("error", failed);
    server.listen(path, ready);
  });
  await chmod(path, 0o600 | owners.memory);
  return {
    content,
    async [Symbol.asyncDispose]() {
      server.close();
      await rm(path, { force: true });
    },
  };
}
