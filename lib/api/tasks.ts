/**
 * What the binary does for programs whose runtime cannot, by name: `sbx __task NAME`. Arguments and answers are JSON.
 *
 * @module
 */
import { SbxError } from "../base/errors.ts";
import { quote } from "../base/escape.ts";
import { usableAsset } from "../host/usable_asset.ts";
import { type NewRecord, registry, toldOf } from "../supervise/kept.ts";
import type { Disk } from "../sandbox/options.ts";
import { doctor, type DoctorOptions } from "./doctor.ts";
import { NamedSandbox } from "./named_sandbox.ts";
import { type BuildTemplateOptions, Templates, type TemplateSize } from "./templates.ts";
import { licences } from "./versions.ts";

type Task = (...args: never[]) => Promise<unknown>;

const TASKS: Readonly<Record<string, Task>> = {
  sandboxes: async () => (await registry().all()).map(toldOf),
  sandbox: async (name: string) => toldOf(await registry().one(name)),
  keep: (name: string | null, record: NewRecord, disk: Disk | null) =>
    registry().keep(name ?? undefined, record, disk ?? undefined),
  snapshot: async (name: string, tag: string) =>
    await (await NamedSandbox.find(name)).snapshot(tag),
  async fork(name: string, wanted: string | null) {
    const sandbox = await NamedSandbox.find(name);
    return (await sandbox.fork(wanted ?? undefined, { start: false })).name;
  },
  kill: async (name: string) => void await registry().kill(name),
  remove: async (name: string, force: boolean) => void await registry().remove(name, force),
  doctor: (options: DoctorOptions) => doctor(options),
  licences: () => licences(),
  "ssh-server": () => usableAsset("sshd", () => {}),
  "build-template": (size: Partial<TemplateSize>, options: BuildTemplateOptions) =>
    Templates.build(size, options),
  "prune-templates": (bytes: number) => Templates.prune(bytes),
};

/** @throws SbxError what the task fails of, USAGE for one that there is not */
export async function runTask(name: string, args: readonly unknown[]): Promise<unknown> {
  const task = Object.hasOwn(TASKS, name) ? TASKS[name] : undefined;
  if (task === undefined) {
    throw new SbxError("USAGE", `Cannot do ${quote(name)}: this sbx has no such task`, {
      hint: "use the library and the binary of one version",
    });
  }
  return await task(...args as never[]) ?? null;
}
