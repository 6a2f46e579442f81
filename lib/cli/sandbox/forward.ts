/**
 * `sbx forward`: ports of this machine that lead to a sandbox for as long as this command runs.
 *
 * @module
 */
import type { Command } from "commander";
import { untilAborted } from "../../base/until.ts";
import { type Forwarding, Sandbox, SbxError } from "../../mod.ts";
import { examples } from "../command.ts";
import { OK, statusOfSignal } from "../exit.ts";
import { parsePublications, publishedLines } from "../publications.ts";
import { Signals } from "../signals.ts";
import { ui } from "../ui.ts";
import { usage } from "../values.ts";
import { requireRunning } from "./running.ts";

export function declare(command: Command): void {
  command
    .argument("<sandbox>", "its name")
    .argument("<ports...>", "[[BIND:]HOST:]GUEST; without HOST, a port that is free");
  examples(command, [
    ["sbx forward db 5432:5432", "127.0.0.1:5432 is the sandbox's port 5432, until Ctrl-C"],
    [
      "sbx forward dev 8000-8003:8000-8003 9229:9229",
      "several; the servers may listen on loopback",
    ],
  ]);
}

export async function run(command: Command): Promise<number> {
  const [name = "", ...texts] = command.args;
  const publications = texts.flatMap((text) => {
    const found = parsePublications(text);
    if (found.every(({ protocol }) => protocol === "tcp")) return found;
    throw usage(
      "<ports>",
      text,
      "datagrams are not forwarded",
      `publish it: sbx port add ${name} ${text}`,
    );
  });
  await using sandbox = await Sandbox.get(name);
  await requireRunning(sandbox, "forward ports to");
  const ended = atEnd(sandbox);
  ended.catch(() => {}); // heard of below, once all listens
  const signals = new Signals();
  const open: Forwarding[] = [];
  try {
    for (const publication of publications) open.push(await sandbox.forward(publication));
    for (const line of publishedLines(open)) ui.line(line.replace(/^published/, "forwarding"));
    await untilAborted(ended, signals.own).catch((error) => {
      if (!signals.own.aborted) throw error;
    });
    if (signals.ownSignal === undefined) throw gone(name);
    return signals.ownSignal === SIGINT ? OK : statusOfSignal(signals.ownSignal);
  } finally {
    for (const each of open) each.close();
    signals.release();
  }
}

/** What people end it with. */
const SIGINT = 2;

/** Resolves at the sandbox's end. @throws SbxError STOPPED */
async function atEnd(sandbox: Awaited<ReturnType<typeof Sandbox.get>>): Promise<void> {
  try {
    for await (const _ of sandbox.events({ kinds: ["exit"] })) return;
  } catch (error) {
    if (!(error instanceof SbxError && error.code === "SUPERVISOR_LOST")) throw error;
  }
}

function gone(name: string): SbxError {
  return new SbxError("STOPPED", `Cannot go on forwarding: sandbox ${name} has ended`, {
    hint: `start it again with 'sbx start ${name}'`,
  });
}
