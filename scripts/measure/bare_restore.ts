/**
 * QEMU going on from the template that sbx goes on from, up to the end of the first command: what a warm
 * start costs without sbx. Whoever measures is the agent's client, and has prepared what it is told.
 *
 * @module
 */
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { closeSync, openSync } from "node:fs";
import type { Duplex } from "node:stream";
import { Agent, type AgentConfig } from "../../lib/guest/agent/client.ts";
import { configuration, guestEntries, rootEntries } from "../../lib/guest/configuration.ts";
import type { GuestPlan } from "../../lib/guest/plan.ts";
import { AGENT_FD, FRAMES_FD } from "../../lib/guest/qemu/args.ts";
import { type MachineLaunch, NO_MOUNTS, restoredLaunchOf } from "../../lib/guest/qemu/launch_of.ts";
import { findMachine, measured } from "../../lib/guest/qemu/machine.ts";
import { loadState } from "../../lib/guest/qemu/migration.ts";
import { Monitor } from "../../lib/guest/qemu/monitor.ts";
import {
  epoch,
  keyOf,
  ownersOf,
  templateDirectory,
} from "../../lib/guest/qemu/template_machine.ts";
import { hostRoot } from "../../lib/guest/root/host_root.ts";
import { packTar } from "../../lib/guest/root/tar.ts";
import { findTemplate, type Template } from "../../lib/guest/template/store.ts";
import { assetPath } from "../../lib/host/assets.ts";
import { buildInfo } from "../../lib/host/build_info.ts";
import { bootId, caller } from "../../lib/host/caller.ts";
import { guestProvider } from "../../lib/host/guest_provider.ts";
import { cacheDir } from "../../lib/host/paths.ts";
import { qemuPlatform } from "../../lib/host/qemu_platform.ts";
import { makeDatabase } from "../../lib/host/sqlite.ts";
import { guestLink } from "../../lib/sandbox/cable.ts";
import { DEFAULT_CPUS, DEFAULT_MEMORY_MIB } from "../../lib/sandbox/options.ts";

/** Prepares; what it answers goes on from the template, and resolves to how many milliseconds that took. */
export async function bareRestore(): Promise<() => Promise<number>> {
  const provider = guestProvider();
  const root = hostRoot();
  const common = {
    cpus: DEFAULT_CPUS,
    memoryMiB: DEFAULT_MEMORY_MIB,
    root,
    network: guestLink(),
  };
  await provider.saveTemplate(common);
  const plan: GuestPlan = {
    ...common,
    network: { ...common.network, search: [] },
    hostname: "bare",
    machineId: randomBytes(16).toString("hex"),
    mounts: [],
    files: [],
    template: true,
    trust: () => Promise.resolve({ roots: root.publicRoots }),
  };
  const machine = await measured(
    await findMachine({
      assetPath,
      cacheDir,
      caller,
      platform: qemuPlatform(),
      bootId,
    }),
  );
  const entries = await rootEntries(root);
  const host = { build: buildInfo()["sbx"] ?? "", caller, cacheDir, assetPath };
  const key = await keyOf(plan, entries.early, machine, host);
  const owners = ownersOf(caller());
  const template = await findTemplate(templateDirectory(host), key, owners, epoch({ bootId }));
  if (template === null) throw new Error("no template was made");
  const launch = restoredLaunchOf(
    plan,
    { fd: FRAMES_FD },
    machine,
    NO_MOUNTS,
    caller(),
    () => "public",
    { path: template.memory, hasRoot: true },
  );
  const trust = await plan.trust();
  const config = configuration(plan, trust, randomBytes(64), { transport: "9p" }, true);
  const archive = packTar(await guestEntries(plan, entries, trust, makeDatabase));
  return () => goOn(launch, template, config, archive);
}

async function goOn(
  { launch, stateFd }: MachineLaunch,
  template: Template,
  config: AgentConfig,
  archive: Uint8Array,
): Promise<number> {
  const opened = launch.files.map((path) => openSync(path, "r"));
  const began = performance.now();
  const [program = "", ...argv] = launch.argv;
  const child = spawn(program, argv, {
    stdio: ["ignore", "ignore", "inherit", "pipe", "pipe", ...opened, "pipe", "pipe"],
  });
  for (const fd of opened) closeSync(fd);
  const dead = new Promise<never>((_, reject) => {
    child.once("exit", (status) => reject(new Error(`the bare guest ended with ${status}`)));
  });
  dead.catch(() => {});
  const channel = (fd: number) => child.stdio[fd] as unknown as Duplex;
  channel(stateFd).end(template.state);
  const monitor = new Monitor(channel(stateFd - 1));
  const agent = new Agent(channel(AGENT_FD), { calls: template.manifest.calls });
  const steps = async (): Promise<number> => {
    await loadState(monitor, stateFd);
    const adjustUs = Date.now() * 1000 - await agent.clock({ adjustUs: 0, slew: false });
    await Promise.all([
      agent.clock({ adjustUs, slew: false }),
      agent.configure(config, archive),
    ]);
    const { exit } = agent.exec({ argv: ["true"], env: {}, stdin: false });
    const { code } = await exit;
    if (code !== 0) throw new Error(`the bare guest's command ended with ${code}`);
    return performance.now() - began;
  };
  try {
    return await Promise.race([steps(), dead]);
  } finally {
    child.kill("SIGKILL");
    monitor.close();
  }
}
