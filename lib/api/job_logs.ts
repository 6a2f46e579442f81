/**
 * What is kept of a job's output, also of a sandbox that does not run.
 *
 * @module
 */
import { setTimeout as delay } from "node:timers/promises";
import { optionsOf } from "../base/misuse.ts";
import type { Home } from "../supervise/home.ts";
import { JobLogReader, type LogPiece } from "../supervise/job_log.ts";
import { type JobInfo, jobLogPath } from "../supervise/jobs.ts";
import type { SandboxStatus } from "../supervise/state.ts";
import type { LogOptions } from "./named_options.ts";
import { isEnd } from "./sandbox_end.ts";

/** How often somebody who follows a log looks whether there is more. */
const LOOK_MS = 200;

/** Who knows of a job whether it goes on. */
interface LoggedSandbox {
  status(): Promise<SandboxStatus>;
  jobs(): Promise<readonly JobInfo[]>;
}

/** See `NamedSandbox.logs`. @throws SbxError USAGE, and the signal's reason */
export async function* readLogs(
  sandbox: LoggedSandbox,
  home: Home,
  job: string,
  options: LogOptions,
): AsyncGenerator<LogPiece, void> {
  const { from = 0, follow = false, signal } = optionsOf("logs(…)", options, {
    from: true,
    follow: true,
    signal: true,
  });
  const reader = new JobLogReader(jobLogPath(home, job), from);
  try {
    for (let isMore = true; isMore;) {
      isMore = follow && await goesOn(sandbox, job); // in this order: what it prints last is read
      for (let piece = reader.next(); piece !== null; piece = reader.next()) {
        signal?.throwIfAborted();
        yield piece;
      }
      if (isMore) await delay(LOOK_MS, undefined, signal === undefined ? {} : { signal });
    }
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  } finally {
    reader.close();
  }
}

/** Whether it runs, and the job in it. Outside of sbx itself, to look it up anew is to start a program. */
async function goesOn(sandbox: LoggedSandbox, job: string): Promise<boolean> {
  const jobs = await jobsOf(sandbox) ??
    (await sandbox.status() === "running" ? await jobsOf(sandbox) : undefined);
  return jobs?.some(({ id, endedMs }) => id === job && endedMs === undefined) ?? false;
}

/** Undefined when nobody answers for it. */
async function jobsOf(sandbox: LoggedSandbox): Promise<readonly JobInfo[] | undefined> {
  return await sandbox.jobs().catch((error) => {
    if (isEnd(error)) return undefined;
    throw error;
  });
}
