/**
 * Starts `sbx template build` beside and behind this process, which does not wait for it and may end
 * before it. It ends by itself, makes way for everything else that wants the processor, and has nothing of
 * this process's environment but what finds its programs and its cache.
 *
 * @module
 */
import { spawn } from "node:child_process";
import { constants, setPriority } from "node:os";
import process from "node:process";
import type { TemplateSize } from "../guest/template/manifest.ts";
import { ownProgram } from "./own_program.ts";

const KEPT = ["HOME", "LANG", "PATH", "XDG_CACHE_HOME"];

/**
 * Nobody hears of what fails here: the next guest boots as this one did. No program is taken from the directories
 * `distrusted`, which guests can write to.
 */
export function spawnTemplateBuild(
  { cpus, memoryMiB, network, root }: TemplateSize,
  distrusted: readonly string[] = [],
): void {
  const [program, ...args] = ownProgram();
  const size = ["--cpus", String(cpus), "--memory", `${memoryMiB}M`];
  const env = Object.fromEntries(
    KEPT.flatMap((name) => {
      const value = process.env[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
  const child = spawn(
    program,
    [
      ...[...args, "template", "build", "--quiet", "--unless-failed", ...size],
      ...(network ? [] : ["--no-net"]),
      ...(root ? [] : ["--no-root"]),
      ...distrusted.flatMap((directory) => ["--distrust", directory]),
    ],
    // Standing where this process does: programs of the working directory are not trusted.
    { env, detached: true, stdio: "ignore" },
  );
  child.on("error", () => {});
  child.unref();
  try {
    if (child.pid !== undefined) setPriority(child.pid, constants.priority.PRIORITY_LOW);
  } catch {
    // it has ended
  }
}
