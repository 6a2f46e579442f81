/**
 * `sbx lima-guest run`: one guest of Lima's, as long as standard input is open. Its first line is the
 * instance; a line `stop` presses the guest's power button, and its end ends the guest at once.
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
import { readInstance, type RunningLimaGuest, startInstance } from "../../api/lima.ts";
import { answering, say } from "./events.ts";
import { settingsOf } from "../lima/network.ts";
import { ui } from "../ui.ts";

export function declare(_command: Command): void {}

export async function run(): Promise<number> {
  const abandoned = new AbortController();
  const lines = createInterface({ input: process.stdin });
  const first = Promise.withResolvers<string>();
  const guest = Promise.withResolvers<{ running: RunningLimaGuest; stopMs: number }>();
  guest.promise.catch(() => {}); // a guest that did not start needs no stop
  const stop = async () => {
    const { running, stopMs } = await guest.promise;
    await running.powerDown(stopMs);
  };
  lines.once("line", (line) => {
    first.resolve(line);
    lines.on("line", (word) => word === "stop" ? void stop().catch(() => {}) : undefined);
  });
  lines.once("close", () => {
    first.resolve("");
    abandoned.abort();
    void guest.promise.then(({ running }) => running.stop()).catch(() => {});
  });
  return await answering(async () => {
    try {
      const instance = readInstance(parsed(await first.promise));
      const { network, log, stopMs } = await settingsOf(instance);
      const running = await startInstance({
        instance,
        network,
        signal: abandoned.signal,
        onNotice: (line) => ui.notice(line),
        onDenial: ({ line }) => ui.notice(line),
        ...(log === undefined ? {} : { journal: log }),
      });
      guest.resolve({ running, stopMs });
      await say({ event: "running", pid: running.pid });
      const lost = await running.ended;
      await running.stop();
      return lost === undefined ? { event: "ended" } : { event: "ended", message: lost.message };
    } catch (error) {
      guest.reject(error);
      throw error;
    }
  });
}

/** What is no JSON is no instance either. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
