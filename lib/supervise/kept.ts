/**
 * The registry of named sandboxes, for sbx itself and for programs that use it as a library, whose runtime may have no
 * call for its locks: for those the binary takes them.
 *
 * @module
 */
import { SbxError } from "../base/errors.ts";
import { errorOf, type Failure, failureOf } from "../base/failure.ts";
import { askBinary } from "../host/ask_binary.ts";
import { isSbxItself } from "../host/own_program.ts";
import type { Disk } from "../sandbox/options.ts";
import { homeOf } from "./home.ts";
import type { SandboxRecord } from "./record.ts";
import type { KeptSandbox } from "./registry.ts";
import { hostnameOf, inventName, requireName } from "./sandbox_name.ts";

/** What is written down of a new sandbox. An empty host name becomes that of its name. */
export type NewRecord = Omit<SandboxRecord, "format" | "name">;

/** A sandbox as JSON has it. */
interface KeptJson extends Omit<KeptSandbox, "home" | "record"> {
  readonly record?: SandboxRecord;
  readonly error?: Failure;
}

const here = {
  async all() {
    const { keptSandboxes } = await import("./registry.ts");
    return await keptSandboxes();
  },
  async one(name: string) {
    const { keptSandbox } = await import("./registry.ts");
    return await keptSandbox(name);
  },
  /** Without a name one is found, which is the answer. `disk`: what its own begins with. */
  async keep(
    name: string | undefined,
    record: NewRecord,
    disk: Disk | undefined,
    signal?: AbortSignal,
  ) {
    const [{ keepSandbox, sandboxNames, sweepSandboxes }, { fillDisk }] = await Promise.all([
      import("./registry.ts"),
      import("./copies.ts"),
    ]);
    await sweepSandboxes();
    const own = name ?? inventName(new Set(await sandboxNames()), Math.random);
    const { spec } = record;
    const hostname = spec.hostname === "" ? hostnameOf(own) : spec.hostname;
    const whole = { ...record, name: own, spec: { ...spec, hostname } };
    await keepSandbox(
      whole,
      async (home) => await fillDisk(home, disk, signal, spec.savable === true),
    );
    return own;
  },
  async kill(name: string) {
    const { killSandbox } = await import("./kill.ts");
    await killSandbox(name);
  },
  async remove(name: string, force: boolean) {
    const { removeSandbox } = await import("./remove.ts");
    await removeSandbox(name, { force });
  },
};

export type Registry = typeof here;

const elsewhere: Registry = {
  all: async () => (await askBinary("sandboxes", []) as KeptJson[]).map(keptOf),
  one: async (name) => keptOf(await askBinary("sandbox", [requireName(name)]) as KeptJson),
  keep: async (name, record, disk, signal) =>
    String(await askBinary("keep", [name ?? null, record, disk ?? null], signal)),
  async kill(name) {
    await askBinary("kill", [requireName(name)]);
  },
  async remove(name, force) {
    await askBinary("remove", [requireName(name), force]);
  },
};

/** Errors are those of lib/supervise/registry.ts, kill.ts and remove.ts, and REQUIREMENT_MISSING without a binary. */
export function registry(): Registry {
  return isSbxItself() ? here : elsewhere;
}

export function jsonOf({ home: _, record, ...kept }: KeptSandbox): KeptJson {
  return record instanceof SbxError ? { ...kept, error: failureOf(record) } : { ...kept, record };
}

function keptOf({ record, error, ...kept }: KeptJson): KeptSandbox {
  const home = homeOf(kept.name);
  if (record !== undefined) return { ...kept, home, record };
  const message = `Cannot use sandbox ${kept.name}: its record is damaged`;
  return { ...kept, home, record: errorOf(error ?? { code: "STATE_UNUSABLE", message }) };
}
