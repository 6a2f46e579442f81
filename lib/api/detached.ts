/**
 * Named sandboxes as a builder makes them.
 *
 * @module
 */
import process from "node:process";
import { flag, misuse, optionsOf } from "../base/misuse.ts";
import { buildInfo } from "../host/build_info.ts";
import { requireTimeLimit } from "../sandbox/exec_options.ts";
import type { SandboxOptions } from "../sandbox/options.ts";
import { registry } from "../supervise/kept.ts";
import { specOf } from "../supervise/record.ts";
import type { StartNamedOptions } from "./named_options.ts";
import { NamedSandbox } from "./named_sandbox.ts";
import { startOrForget } from "./start_or_forget.ts";

/** The command that a named sandbox is there for: it ends with it. */
export interface MainCommandOptions {
  /** The program and its arguments. */
  readonly argv: readonly string[];
  /** Gives it a terminal; false when absent. */
  readonly tty?: boolean;
  /** Leaves its input open for who attaches; false when absent. */
  readonly stdin?: boolean;
}

/** How a named sandbox lives. */
export interface DetachedOptions extends StartNamedOptions {
  /** The command that it is there for. Absent: it runs until it is stopped. */
  readonly main?: MainCommandOptions;
  /** Whether it is started again when its command or its machine ends by itself; `no` when absent. */
  readonly restart?: "no" | "on-failure" | "always";
  /** Removes it at its end; false when absent. */
  readonly remove?: boolean;
  /** Stops it when nobody has used it for so many milliseconds. Absent: never. */
  readonly idleTimeoutMs?: number;
  /** False only writes it down; true when absent. */
  readonly start?: boolean;
}

const CALL = "createDetached(…)";
const RESTARTS = ["no", "on-failure", "always"] as const;

/** `name` is undefined where one is to be found. See `SandboxBuilder.createDetached`. */
export async function createDetached(
  name: string | undefined,
  values: SandboxOptions,
  given: DetachedOptions,
): Promise<NamedSandbox> {
  const { main, restart = "no", remove = false, idleTimeoutMs, start = true, ...starting } =
    optionsOf(CALL, given, {
      main: true,
      restart: true,
      remove: true,
      idleTimeoutMs: true,
      start: true,
      onNotice: true,
      signal: true,
    });
  starting.signal?.throwIfAborted();
  if (!RESTARTS.includes(restart)) {
    throw misuse(CALL, "an unknown word for restart", {
      hint: `use one of ${RESTARTS.join(", ")}`,
    });
  }
  for (const each of [remove, start]) flag(CALL, each);
  if (idleTimeoutMs !== undefined) requireTimeLimit(CALL, idleTimeoutMs);
  if (remove && restart !== "no") {
    throw misuse(CALL, "a sandbox that is removed at its end is not started again");
  }
  const spec = specOf(values);
  const isNamelessHost = name === undefined && values.hostname === undefined;
  const own = await registry().keep(
    name,
    {
      sbx: buildInfo()["sbx"] ?? "",
      createdMs: Date.now(),
      directory: process.cwd(),
      life: {
        restart,
        remove,
        ...(idleTimeoutMs === undefined ? {} : { idleTimeoutMs: Math.ceil(idleTimeoutMs) }),
        ...(main === undefined ? {} : { main: mainOf(main) }),
      },
      spec: { ...spec, hostname: isNamelessHost ? "" : spec.hostname },
    },
    values.disk,
    starting.signal,
  );
  const sandbox = await NamedSandbox.find(own);
  if (start) await startOrForget(sandbox, starting);
  return sandbox;
}

function mainOf(main: MainCommandOptions) {
  const { argv, tty = false, stdin = false } = optionsOf(CALL, main, {
    argv: true,
    tty: true,
    stdin: true,
  });
  if (!Array.isArray(argv) || argv.length === 0 || argv.some((arg) => typeof arg !== "string")) {
    throw misuse(CALL, "argv is no list of texts with a program in front");
  }
  return { argv: [...argv], tty: flag(CALL, tty), stdin: flag(CALL, stdin) };
}
