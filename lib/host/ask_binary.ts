/**
 * What only sbx itself can do, for programs that use it as a library: the binary is started for one task, and answers.
 *
 * @module
 */
import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { SbxError } from "../base/errors.ts";
import { errorOf, type Failure } from "../base/failure.ts";
import { ownProgram } from "./own_program.ts";

/** lib/cli/task.ts, which answers. */
const TASK = "__task";

/**
 * Aborting `signal` ends the task.
 *
 * @throws SbxError what the task failed of; REQUIREMENT_MISSING when there is no binary, or it does not answer; the
 * signal's reason
 */
export async function askBinary(
  task: string,
  args: readonly unknown[],
  signal?: AbortSignal,
): Promise<unknown> {
  signal?.throwIfAborted();
  const [program, ...own] = ownProgram();
  const child = spawn(program, [...own, TASK, task], { stdio: ["pipe", "pipe", "pipe"] });
  const ended = Promise.withResolvers<void>();
  child.once("error", ended.reject);
  child.once("close", () => ended.resolve());
  child.stdin.on("error", () => {}); // its answer says more
  child.stdin.end(JSON.stringify(args));
  const giveUp = () => void child.kill();
  signal?.addEventListener("abort", giveUp, { once: true });
  try {
    const [said, complaint] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      ended.promise,
    ]);
    const answer = answerOf(said);
    return answer === undefined ? fail(program, complaint.trim().split("\n")[0] ?? "") : answer.ok;
  } catch (cause) {
    signal?.throwIfAborted();
    if (cause instanceof SbxError) throw cause;
    return fail(program, cause instanceof Error ? cause.message : String(cause), cause);
  } finally {
    signal?.removeEventListener("abort", giveUp);
  }
}

/** Undefined where it is none. @throws SbxError the error that it tells */
function answerOf(said: string): { readonly ok?: unknown } | undefined {
  let answer: { readonly ok?: unknown; readonly error?: Failure };
  try {
    answer = JSON.parse(said);
  } catch {
    return undefined;
  }
  const { error } = answer;
  if (error === undefined) return answer;
  throw errorOf(error);
}

function fail(program: string, state: string, cause?: unknown): never {
  throw new SbxError("REQUIREMENT_MISSING", `Cannot use ${program}: ${state || "no answer"}`, {
    cause,
    hint: "run it yourself to see what it says: sbx doctor",
  });
}
