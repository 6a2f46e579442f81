/**
 * The machine of a sandbox that is sbx's own.
 *
 * @module
 */
import type { Saving } from "../guest/saved.ts";
import { spawnTemplateBuild } from "../host/spawn_template_build.ts";
import type { SandboxOptions } from "../sandbox/options.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import { start } from "../sandbox/start.ts";

/** Starts the machine of a sandbox. Aborting the signal gives that up. @throws SbxError */
export type StartMachine = (
  options: SandboxOptions,
  signal: AbortSignal,
  saving?: Saving,
) => Promise<Sandbox>;

/** Where it booted for want of a template, that is made behind it once it is over. */
export const startOwn: StartMachine = async (options, signal, saving) => {
  const sandbox = await start(options, {
    endsProcess: true,
    isShared: true,
    signal,
    ...(saving === undefined ? {} : { saving }),
  });
  if (sandbox.template === "missing") {
    const { cpus, memoryMiB, disk, root, network } = options;
    void sandbox.ended.then(() =>
      spawnTemplateBuild({
        cpus,
        memoryMiB,
        network: network.policy.network,
        root: disk === undefined && root === undefined,
      })
    );
  }
  return sandbox;
};
