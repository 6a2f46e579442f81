/**
 * Copies of a named sandbox's disk, made by sbx itself: here, or by the binary for a program.
 *
 * @module
 */
import { askBinary } from "../host/ask_binary.ts";
import { isSbxItself } from "../host/own_program.ts";
import type { SupervisorClient } from "../supervise/client.ts";
import type { CopyOptions } from "../supervise/memory_of.ts";
import type { SnapshotInfo } from "./snapshots.ts";

/** A sandbox, who has its disk stand still where it runs, and who may give the copy up. */
export interface Original {
  readonly name: string;
  readonly client: SupervisorClient | undefined;
  readonly signal: AbortSignal | undefined;
  /** Hears a line that says why a copy has the disk alone. */
  readonly onNotice: ((line: string) => void) | undefined;
}

/** What the binary answers, and what was worth telling of it. */
export interface Noted<T> {
  readonly value: T;
  readonly notices: readonly string[];
}

/** See `NamedSandbox.snapshot`. */
export async function snapshotOf(
  original: Original,
  tag: string,
  needsMemory: boolean,
): Promise<SnapshotInfo> {
  if (!isSbxItself()) return await asked("snapshot", original, tag, needsMemory);
  const { name } = original;
  const [{ takeSnapshot }, { snapshotInfo }] = await Promise.all([
    import("../supervise/copies.ts"),
    import("./snapshots.ts"),
  ]);
  return snapshotInfo(
    await takeSnapshot(name, tag, {
      ...copying(original, `snapshot ${tag}`),
      needsMemory,
    }),
  );
}

/** Name of the fork that was made, which is not started. See `NamedSandbox.fork`. */
export async function forkOf(original: Original, wanted: string | undefined): Promise<string> {
  if (!isSbxItself()) return await asked("fork", original, wanted ?? null);
  const { makeFork } = await import("../supervise/copies.ts");
  return await makeFork(original.name, wanted, copying(original, "the fork"));
}

async function asked<T>(
  task: string,
  { name, signal, onNotice }: Original,
  ...args: readonly unknown[]
): Promise<T> {
  const { value, notices } = await askBinary(task, [name, ...args], signal) as Noted<T>;
  for (const line of notices) onNotice?.(line);
  return value;
}

function copying({ client, signal, onNotice }: Original, copy: string): CopyOptions {
  return {
    onDiskAlone: (why) => onNotice?.(`${copy} has the disk alone: ${why}`),
    ...(signal === undefined ? {} : { signal }),
    ...(client === undefined ? {} : {
      freeze: async () => await client.freeze(signal),
      save: async () => await client.save(signal),
    }),
  };
}
