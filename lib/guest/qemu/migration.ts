/**
 * Saving a machine whose memory is a file, and going on from there. What QEMU calls a migration is then
 * the state of its devices and processors alone: the memory is in the file already.
 *
 * @module
 */
import { SbxError } from "../../base/errors.ts";
import { escapeText } from "../../base/escape.ts";
import { type Device, STATE_URI } from "./args.ts";
import type { Monitor, Order } from "./monitor.ts";

/** Without them the whole memory would be sent along, and nobody would hear of the end. */
const CAPABILITIES: Order = ["migrate-set-capabilities", {
  capabilities: [
    { capability: "x-ignore-shared", state: true },
    { capability: "events", state: true },
  ],
}];

const EVENTS: Order = ["migrate-set-capabilities", {
  capabilities: [{ capability: "events", state: true }],
}];

/** Nobody else needs the bandwidth of a file, in bytes a second. */
const UNHURRIED: Order = ["migrate-set-parameters", { "max-bandwidth": 2 ** 40 }];

/** The machine is where it was, as far as its network knows: there is nothing to announce. */
const NO_ANNOUNCEMENT: Order = ["migrate-set-parameters", { "announce-rounds": 0 }];

/** Writes the state of a running machine to a socket, which then ends; the machine stands still. */
export async function saveState(monitor: Monitor, socket: string): Promise<void> {
  const over = ending(monitor);
  await monitor.execute(CAPABILITIES, ["migrate", { uri: `unix:${socket}` }]);
  await over;
}

/** Reads the state from an inherited descriptor; the machine runs on by itself. */
export async function loadState(monitor: Monitor, fd: number): Promise<void> {
  await load(monitor, fd, CAPABILITIES);
}

/** The same for a whole machine, its memory with it, which stood still when it was saved. */
export async function loadMachine(monitor: Monitor, fd: number): Promise<void> {
  await load(monitor, fd, EVENTS);
  await goOn(monitor);
}

async function load(monitor: Monitor, fd: number, capabilities: Order): Promise<void> {
  const over = ending(monitor);
  await monitor.execute(capabilities, NO_ANNOUNCEMENT, ["migrate-incoming", { uri: `fd:${fd}` }]);
  await over;
}

/**
 * Has the machine stand still, and writes all of it to its file. Aborting the signal ends the writing: QEMU would go on
 * with it beside a machine that runs again, and have that stand still at its end.
 *
 * @throws SbxError what QEMU says against it
 */
export async function saveMachine(monitor: Monitor, signal: AbortSignal): Promise<void> {
  await monitor.execute(["stop"]);
  const over = ending(monitor);
  await monitor.execute(EVENTS, UNHURRIED, ["migrate", { uri: STATE_URI }]);
  const cancel = () => void monitor.execute(["migrate_cancel"]).catch(() => {}); // its end is awaited
  signal.addEventListener("abort", cancel, { once: true });
  if (signal.aborted) cancel();
  try {
    await over;
  } catch (error) {
    throw await reasonOf(monitor) ?? error;
  } finally {
    signal.removeEventListener("abort", cancel);
  }
}

/** Has it run again, wherever a save ended. */
export async function goOn(monitor: Monitor): Promise<void> {
  await monitor.execute(["cont"]);
}

async function reasonOf(monitor: Monitor): Promise<SbxError | undefined> {
  const answer = await monitor.ask(["query-migrate"]).catch(() => null) as
    | { readonly "error-desc"?: unknown }
    | null;
  const reason = answer?.["error-desc"];
  if (reason === undefined) return undefined;
  return new SbxError("GUEST_START", `Cannot move a machine: ${escapeText(String(reason))}`);
}

/** Adds devices to a machine that runs, which has to look for them. */
export async function addDevices(monitor: Monitor, devices: readonly Device[]): Promise<void> {
  await monitor.execute(...devices.map((device): Order => ["device_add", device]));
}

/** Begun before the orders are given. Where one is refused, that is heard of first, and this by nobody. */
function ending(monitor: Monitor): Promise<void> {
  const ended = monitor.event(
    "MIGRATION",
    ({ status }) => status === "completed" || status === "failed" || status === "cancelled",
  ).then(({ status }) => {
    if (status === "completed") return;
    throw new SbxError("GUEST_START", `Cannot move a machine: it ${escapeText(String(status))}`);
  });
  ended.catch(() => {});
  return ended;
}
