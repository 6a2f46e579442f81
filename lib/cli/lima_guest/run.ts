/**
 * `sbx lima-guest run DIRECTORY`: one guest of Lima's, as long as standard input is open, supervised as a named
 * sandbox. The first line of input is the instance; a line `stop` presses the guest's power button, and the end
 * of input ends the guest at once, unless a line `stay` came before it. The directory is for whoever looks for
 * this process.
 *
 * ```
 * starting ── running ── "stop" ──► leaving ──► gone
 *     └── end of input ──┴── end of input ──┴──► gone
 * ```
 *
 * @module
 */
import type { Command } from "commander";
import process from "node:process";
import { createInterface } from "node:readline";
import { ownDriverLog, ownDriverOf, readInstance, superviseInstance } from "../../api/lima.ts";
import { answering, DRIVER_LOG, say } from "./events.ts";
import { parsedInstance } from "./given.ts";
import { settingsOf } from "./settings.ts";
import { ui } from "../ui.ts";

export function declare(command: Command): void {
  command.argument("[directory]", "of the instance");
}

/** Long enough for the guest's own limit to count. */
const PRESSED_MS = 1;

export async function run(): Promise<number> {
  const abandoned = new AbortController();
  const lines = createInterface({ input: process.stdin });
  const first = Promise.withResolvers<string>();
  let stays = false;
  let stop = (_graceMs: number): Promise<void> => Promise.resolve(abandoned.abort());
  lines.once("line", (line) => {
    first.resolve(line);
    lines.on("line", (word) => {
      if (word === "stop") void stop(PRESSED_MS);
      if (word === "stay") stays = true;
    });
  });
  lines.once("close", () => {
    first.resolve("");
    if (stays) return;
    abandoned.abort();
    void stop(0);
  });
  let log = DRIVER_LOG;
  return await answering(async () => {
    const instance = readInstance(parsedInstance(await first.promise));
    if (ownDriverOf(instance) !== undefined) log = ownDriverLog(instance.dir);
    const { network, log: journal, stopMs } = await settingsOf(instance);
    if (abandoned.signal.aborted) return { event: "ended" };
    const lost = await superviseInstance({
      instance,
      network,
      stopMs,
      listening: () => void say({ event: "listening" }),
      ...(journal === undefined ? {} : { journal }),
    }, {
      signal: abandoned.signal,
      // From here on what there is to tell goes into a file that is bounded: the guest has a hand in it.
      notice: (line) => ui.notice(line),
      begun: (end) => void (stop = end),
      ready: () => void say({ event: "running" }),
    });
    return lost === undefined
      ? { event: "ended" }
      : { event: "ended", message: lost.message, code: lost.code };
  }, () => log);
}
