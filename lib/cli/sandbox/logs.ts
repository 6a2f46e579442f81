/**
 * `sbx logs`: what a job has printed, while it runs and afterwards.
 *
 * @module
 */
import type { Command } from "commander";
import process from "node:process";
import { type LogPiece, type NamedSandbox, Sandbox, SbxError } from "../../mod.ts";
import { MAIN_JOB } from "../../base/main_job.ts";
import { examples } from "../command.ts";
import { OK } from "../exit.ts";
import { ui } from "../ui.ts";
import { parseCount, parseDuration, usage } from "../values.ts";
import { LogStamps } from "./log_stamps.ts";
import { cutTo, tailOf } from "./log_tail.ts";

interface Flags {
  readonly job: string;
  readonly follow?: true;
  readonly since?: number;
  readonly tail?: number;
  readonly until?: number;
  readonly timestamps?: true;
}

export function declare(command: Command): void {
  command
    .argument("<sandbox>", "its name")
    .option(
      "--job <job>",
      "a job of 'sbx ps' (default: the command that the sandbox is for)",
      MAIN_JOB,
    )
    .option("-f, --follow", "go on until the job ends")
    .option("--since <time>", "from then on: 10m ago, or 2026-11-30T08:00:00Z", momentOf("--since"))
    .option("--until <time>", "up to then", momentOf("--until"))
    .option("-n, --tail <n>", "the last lines (default: all)", tailCount)
    .option("-t, --timestamps", "when each line was printed, in front of it");
  examples(command, [
    ["sbx logs web", "all that is kept: the latest 32 MiB at least"],
    ["sbx logs -f --tail 20 web", "the last lines, and what comes"],
  ]);
}

export async function run(command: Command): Promise<number> {
  const flags = command.opts<Flags>();
  const { job, follow, since = 0, until = Infinity, tail = Infinity, timestamps } = flags;
  const stamps = timestamps ? new LogStamps() : undefined;
  const print = (piece: LogPiece) => write(piece.stream, stamps?.stamped(piece) ?? piece.bytes);
  await using sandbox = await Sandbox.get(command.args[0] ?? "");
  const wanted = ({ atMs }: LogPiece) => atMs >= since && atMs <= until;
  let from = 0;
  let isThere = false;
  const pieces: LogPiece[] = [];
  for await (const piece of sandbox.logs(job)) {
    isThere = true;
    from = piece.offset + piece.bytes.length;
    if (!wanted(piece)) continue;
    if (tail === Infinity) await print(piece);
    else tailOf(pieces, piece, tail);
    if (ui.unread) return OK;
  }
  if (tail !== Infinity) cutTo(pieces, tail);
  for (const piece of pieces) await print(piece);
  if (!isThere && !await hasJob(sandbox, job)) {
    throw new SbxError("JOB_MISSING", `Cannot show job ${job} of ${sandbox.name}: there is none`, {
      hint: `see what there is with 'sbx ps ${sandbox.name}'`,
    });
  }
  if (follow && until > Date.now()) {
    for await (const piece of following(sandbox, job, from, until)) {
      if (wanted(piece)) await print(piece);
      if (ui.unread) break;
    }
  }
  const lost = await lostOf(sandbox, job);
  if (lost > 0) ui.notice(`${lost} bytes are missing: the disk was full`);
  return OK;
}

/** Further than a timer can wait. */
const LONGEST_WAIT_MS = 2 ** 31 - 1;

/** What comes from an offset on, up to a moment and little more: whoever follows looks now and then. */
async function* following(
  sandbox: NamedSandbox,
  job: string,
  from: number,
  until: number,
): AsyncGenerator<LogPiece, void> {
  const left = Math.max(0, until - Date.now());
  const signal = left > LONGEST_WAIT_MS ? new AbortController().signal : AbortSignal.timeout(left);
  let next = from;
  try {
    for await (const piece of sandbox.logs(job, { from, follow: true, signal })) {
      if (piece.atMs > until) return;
      next = piece.offset + piece.bytes.length;
      yield piece;
    }
    return;
  } catch (error) {
    if (!signal.aborted || error !== signal.reason) throw error;
  }
  yield* sandbox.logs(job, { from: next }); // what came since the last look
}

async function write(stream: LogPiece["stream"], bytes: Uint8Array): Promise<void> {
  const sink = stream === 1 ? process.stdout : ui.stderr;
  await new Promise<void>((resolve) => sink.write(bytes, () => resolve()));
}

/** Bytes that the disk did not take, of a sandbox that runs. */
async function lostOf(sandbox: NamedSandbox, job: string): Promise<number> {
  if ((await sandbox.info()).status !== "running") return 0;
  return (await sandbox.jobs()).find(({ id }) => id === job)?.lost ?? 0;
}

/** The main job's output is there before and after its sandbox runs. */
async function hasJob(sandbox: NamedSandbox, job: string): Promise<boolean> {
  const { status, command } = await sandbox.info();
  if (job === MAIN_JOB && command !== undefined) return true;
  return status === "running" && (await sandbox.jobs()).some(({ id }) => id === job);
}

/** How many lines; all of them where it says so. */
function tailCount(text: string): number {
  if (text === "all") return Infinity;
  return text === "0" ? 0 : parseCount("--tail", text);
}

/** A moment, or how long ago it was. */
function momentOf(option: string): (text: string) => number {
  return (text) => {
    if (/^\d{1,11}(?:\.\d{1,9})?$/.test(text)) return Number(text) * 1_000; // as date +%s has it
    if (/^[0-9.]+[a-z]+$/.test(text)) return Date.now() - parseDuration(option, text);
    const moment = Date.parse(text);
    if (!Number.isNaN(moment)) return moment;
    throw usage(option, text, "not a time", "write it like 10m or 2026-11-30T08:00:00Z");
  };
}
