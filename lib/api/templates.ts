/**
 * Templates: guests that were saved once they had booted, before anything of anybody was in them. A
 * sandbox that may ({@link SandboxBuilder.template}) goes on from one instead of booting.
 *
 * @module
 */
import { resolve } from "node:path";
import { misuse, optionsOf } from "../base/misuse.ts";
import { untilAborted } from "../base/until.ts";
import type { TemplateBuild } from "../guest/provider.ts";
import type { Manifest, TemplateSize } from "../guest/template/manifest.ts";
import type { KeptTemplate } from "../guest/template/store.ts";
import { askBinary } from "../host/ask_binary.ts";
import { isSbxItself } from "../host/own_program.ts";
import { realOf } from "../host/trusted_path.ts";
import { DEFAULT_CPUS, DEFAULT_MEMORY_MIB } from "../sandbox/options.ts";
import { type Abortable, signalOf } from "./abortable.ts";
import { SandboxBuilder } from "./sandbox_builder.ts";

export type { KeptTemplate, Manifest as TemplateManifest, TemplateBuild, TemplateSize };

/** How a template is made. */
export interface BuildTemplateOptions extends Abortable {
  /** Leaves it where it failed within a day; false when absent. */
  readonly unlessFailed?: boolean;
  /** Directories that a guest can write to, of which no program is taken; none when absent. */
  readonly distrusted?: readonly string[];
}

/** What is kept for guests to go on from: `sbx template` as an object. */
export interface Templates {
  /**
   * Makes the template of a size; of what is not said, as the builder's defaults have it, with a
   * network and with this machine's files as the root. Those that were used the longest ago make room
   * for it. The answer says whether it was made, or why not. Aborting `signal` ends the making, of which
   * nothing is left.
   *
   * @throws SbxError USAGE, REQUIREMENT_MISSING, GUEST_START, FILE_UNREADABLE, and the signal's reason
   */
  build(size?: Partial<TemplateSize>, options?: BuildTemplateOptions): Promise<TemplateBuild>;
  /**
   * The same in a process of its own, which goes on when this one ends: at most a minute, and after
   * everything else that wants the processor. Does not throw; nobody hears of what fails, and what failed
   * is not tried again for a day.
   */
  buildBehind(size?: Partial<TemplateSize>): Promise<void>;
  /** What is kept, the last used first. @throws the signal's reason */
  list(options?: Abortable): Promise<readonly KeptTemplate[]>;
  /** Sandboxes that run are not disturbed. False when there was none of that key. @throws the signal's reason */
  remove(key: string, options?: Abortable): Promise<boolean>;
  /**
   * Removes those that were used the longest ago, until the others take no more than `bytes` of disk,
   * and what was left half made; answers with the keys of what it removed. Without bytes all go.
   *
   * @throws SbxError USAGE, and the signal's reason
   */
  prune(bytes?: number, options?: Abortable): Promise<readonly string[]>;
}

/** Loaded when asked for: who only runs a sandbox has no use for it. */
const store = () => import("../guest/template/store.ts");
const lock = () => import("../host/file_lock.ts");

async function directory(): Promise<string> {
  const { cacheDir } = await import("../host/paths.ts");
  return (await store()).templatesBelow(cacheDir());
}

/** What is kept for guests to go on from. */
export const Templates: Templates = Object.freeze({
  async build(
    size: Partial<TemplateSize> = {},
    options: BuildTemplateOptions = {},
  ): Promise<TemplateBuild> {
    const { cpus, memoryMiB, network, root } = sizeOf("build(…)", size);
    const known = { unlessFailed: true, distrusted: true, signal: true } as const;
    const { unlessFailed = false, distrusted = [], signal } = optionsOf(
      "build(…)",
      options,
      known,
    );
    signal?.throwIfAborted();
    if (!Array.isArray(distrusted) || distrusted.some((each) => typeof each !== "string")) {
      throw misuse("build(…)", "distrusted is no list of paths");
    }
    if (!isSbxItself()) {
      const whole = { cpus, memoryMiB, network, root };
      const args = [whole, { unlessFailed, distrusted: distrusted.map((each) => resolve(each)) }];
      return await askBinary("build-template", args, signal) as TemplateBuild;
    }
    const [{ guestProvider }, { ownRoot }, { guestLink }, { evict, MOST_BYTES }, { lockFile }] =
      await Promise.all([
        import("../host/guest_provider.ts"),
        import("../host/own_root.ts"),
        import("../sandbox/cable.ts"),
        store(),
        lock(),
      ]);
    const avoided = distrusted.map((each) => realOf(resolve(each)));
    const made = await guestProvider(undefined, avoided).saveTemplate({
      cpus,
      memoryMiB,
      ...(root ? { root: ownRoot() } : {}),
      ...(network ? { network: guestLink() } : {}),
    }, { unlessFailed, ...(signal === undefined ? {} : { signal }) });
    if (made.outcome === "made") await evict(await directory(), MOST_BYTES, lockFile);
    return made;
  },

  async buildBehind(size: Partial<TemplateSize> = {}): Promise<void> {
    const whole = sizeOf("buildBehind(…)", size);
    const { spawnTemplateBuild } = await import("../host/spawn_template_build.ts");
    spawnTemplateBuild(whole);
  },

  async list(options: Abortable = {}): Promise<readonly KeptTemplate[]> {
    const signal = signalOf("list(…)", options);
    return await untilAborted((await store()).listTemplates(await directory()), signal);
  },

  async remove(key: string, options: Abortable = {}): Promise<boolean> {
    const signal = signalOf("remove(…)", options);
    return await untilAborted((await store()).discard(await directory(), key), signal);
  },

  async prune(bytes = 0, options: Abortable = {}): Promise<readonly string[]> {
    if (!(bytes >= 0)) throw misuse(`prune(${bytes})`, "not a number of bytes");
    const signal = signalOf("prune(…)", options);
    if (!isSbxItself()) return await askBinary("prune-templates", [bytes], signal) as string[];
    const [{ evict }, { lockFile }] = await Promise.all([store(), lock()]);
    return await untilAborted(evict(await directory(), bytes, lockFile), signal);
  },
});

function sizeOf(call: string, size: Partial<TemplateSize>): TemplateSize {
  const known = { cpus: true, memoryMiB: true, network: true, root: true } as const;
  const {
    cpus = DEFAULT_CPUS,
    memoryMiB = DEFAULT_MEMORY_MIB,
    network = true,
    root = true,
  } = optionsOf(call, size, known);
  for (const [name, value] of Object.entries({ network, root })) {
    if (typeof value !== "boolean") throw misuse(call, `${name} is neither true nor false`);
  }
  new SandboxBuilder().cpus(cpus).memory(memoryMiB); // which refuse what no guest can have
  return { cpus, memoryMiB, network, root };
}
