/**
 * What the binary does for programs whose runtime cannot, by name: `sbx __task NAME`. Arguments and answers are JSON.
 *
 * @module
 */
import { SbxError } from "../base/errors.ts";
import { quote } from "../base/escape.ts";
import { usableAsset } from "../host/usable_asset.ts";
import { jsonOf, type NewRecord, registry } from "../supervise/kept.ts";
import type { Disk } from "../sandbox/options.ts";
import { doctor, type DoctorOptions } from "./doctor.ts";
import type { Noted } from "./named_copies.ts";
import { NamedSandbox } from "./named_sandbox.ts";
import { type BuildTemplateOptions, Templates, type TemplateSize } from "./templates.ts";
import { licences } from "./versions.ts";

/** Aborting the signal gives it up; tasks that take no time have no use for it. */
type Task = (signal: AbortSignal, ...args: never[]) => Promise<unknown>;

const TASKS: Readonly<Record<string, Task>> = {
  sandboxes: async () => (await registry().all()).map(jsonOf),
  sandbox: async (_, name: string) => jsonOf(await registry().one(name)),
  keep: (_, name: string | null, record: NewRecord, disk: Disk | null) =>
    registry().keep(name ?? undefined, record, disk ?? undefined),
  snapshot: async (signal, name: string, tag: string, memory: boolean) =>
    await withNotices(async (onNotice) => {
      const sandbox = await NamedSandbox.find(name, signal);
      return await sandbox.snapshot(tag, { memory, signal, onNotice });
    }),
  fork: async (signal, name: string, wanted: string | null) =>
    await withNotices(async (onNotice) => {
      const sandbox = await NamedSandbox.find(name, signal);
      return (await sandbox.fork(wanted ?? undefined, { start: false, signal, onNotice })).name;
    }),
  kill: async (_, name: string) => void await registry().kill(name),
  remove: async (_, name: string, force: boolean) => void await registry().remove(name, force),
  doctor: (signal, options: DoctorOptions) => doctor({ ...options, signal }),
  licences: () => licences(),
  "ssh-server": () => usableAsset("sshd", () => {}),
  "build-template": (signal, size: Partial<TemplateSize>, options: BuildTemplateOptions) =>
    Templates.build(size, { ...options, signal }),
  "prune-templates": (signal, bytes: number) => Templates.prune(bytes, { signal }),
};

async function withNotices<T>(
  work: (onNotice: (line: string) => void) => Promise<T>,
): Promise<Noted<T>> {
  const notices: string[] = [];
  return { value: await work((line) => void notices.push(line)), notices };
}

/** @throws SbxError what the task fails of, USAGE for one that there is not; the signal's reason */
export async function runTask(
  name: string,
  args: readonly unknown[],
  signal: AbortSignal,
): Promise<unknown> {
  const task = Object.hasOwn(TASKS, name) ? TASKS[name] : undefined;
  if (task === undefined) {
    throw new SbxError("USAGE", `Cannot do ${quote(name)}: this sbx has no such task`, {
      hint: "use the library and the binary of one version",
    });
  }
  return await task(signal, ...args as never[]) ?? null;
}
