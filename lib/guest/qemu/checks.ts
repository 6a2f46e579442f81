/**
 * What QEMU needs of this machine, for `sbx doctor`.
 *
 * @module
 */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { CHILD_ENV } from "../../base/child_env.ts";
import { plural } from "../../base/plural.ts";
import type { Check, CheckResult } from "../provider.ts";
import { faultOf, listTemplates } from "../template/store.ts";
import { findAccelerator } from "./accelerator.ts";
import { type Caller, hasOwnUsers, mayBecomeNobody, ROOT_STAYS_ROOT } from "./identity.ts";
import type { QemuHost } from "./launch.ts";
import { ownArchitecture } from "./machine.ts";
import { installQemu, lookForQemu, OLDEST_QEMU } from "./program.ts";
import { ownersOf, templateDirectory } from "./template_machine.ts";
import { findTransport } from "./transport.ts";

type Host = Pick<
  QemuHost,
  "assetPath" | "cacheDir" | "caller" | "fileLimit" | "greet" | "platform" | "bootId"
>;

export function qemuChecks(host: Host): readonly Check[] {
  return [
    { name: "qemu", run: () => program(host) },
    { name: "accelerator", run: () => accelerator(host) },
    { name: "mounts", run: () => mounts(host) },
    { name: "templates", run: () => templates(host) },
    { name: "privileges", run: () => privileges(host) },
  ];
}

async function program({ platform }: Host): Promise<CheckResult> {
  const missing = (found: string): CheckResult => ({
    state: "missing",
    found,
    fix: installQemu(platform),
  });
  const qemu = lookForQemu(ownArchitecture(), platform);
  if ("missing" in qemu) return missing(qemu.missing);
  const text = await promisify(execFile)(qemu.path, ["--version"]).then(
    ({ stdout }) => stdout,
    () => "",
  );
  const [, major, minor] = /version (\d+)\.(\d+)/.exec(text) ?? [];
  if (major === undefined) return missing(`${qemu.path} does not run`);
  const [oldestMajor, oldestMinor] = OLDEST_QEMU;
  const old = Number(major) < oldestMajor ||
    (Number(major) === oldestMajor && Number(minor) < oldestMinor);
  const found = text.split("\n")[0] ?? qemu.path;
  return old ? missing(found) : { state: "ok", found };
}

async function accelerator(host: Host): Promise<CheckResult> {
  const qemu = lookForQemu(ownArchitecture(), host.platform);
  const program = "path" in qemu ? qemu.path : undefined;
  const { accelerator: kind, reason } = await findAccelerator(ownArchitecture(), host, program);
  if (kind !== "tcg") return { state: "ok", found: kind };
  const mend = {
    kvm: "for KVM use a machine with hardware virtualisation, and be in group kvm",
    hvf:
      "for HVF use a QEMU that is signed for it, as Homebrew's is, on a Mac that is no guest itself",
  };
  return {
    state: "note",
    found: `emulation (${reason})`,
    fix: `guests work but run slower; ${mend[host.platform.hypervisor]}`,
  };
}

/** How directories get into guests. */
async function mounts(host: Host): Promise<CheckResult> {
  const by = await findTransport(host, await host.assetPath("netstack"));
  if (by.transport === "virtiofs") {
    return { state: "ok", found: `virtiofs, by ${by.daemon.path} (${by.daemon.version})` };
  }
  if (!host.platform.hasFileDaemons) return { state: "ok", found: `9p (${by.reason})` };
  return {
    state: "note",
    found: `9p (${by.reason})`,
    fix:
      `mounts work, but small files are slower, and open files without a name limited: ${by.fix}`,
  };
}

/** What guests can go on from. One that they cannot is removed when it is met. */
async function templates(host: Host): Promise<CheckResult> {
  const directory = templateDirectory(host);
  const kept = await listTemplates(directory);
  const owners = ownersOf(host.caller());
  const faults = await Promise.all(kept.map(({ key }) => faultOf(directory, key, owners)));
  const size = Math.ceil(kept.reduce((sum, { bytes }) => sum + bytes, 0) / 2 ** 20);
  const bad = kept.findIndex((_, index) => faults[index] !== null);
  if (bad < 0) return { state: "ok", found: `${plural(kept.length, "template")}, ${size} MiB` };
  const key = kept[bad]?.key.slice(0, 12) ?? "";
  return {
    state: "note",
    found: `template ${key} cannot be used: ${faults[bad] ?? ""}`,
    fix: `guests boot without it: remove it with 'sbx template rm ${key}'`,
  };
}

/** Which isolation holds, should a guest break out of its machine into QEMU. */
async function privileges(host: Host): Promise<CheckResult> {
  const who = host.caller();
  if (!host.platform.hasOtherUsers) return asCaller(who);
  const landlock = await landlockVersion(await host.assetPath("netstack"));
  const holds = landlock >= LEAST_LANDLOCK;
  const apart = holds ? "Landlock keeps it from files and processes of others" : NO_LANDLOCK;
  const never = `makes no setuid files and no devices; ${apart}`;
  if (who.uid === 0 && !mayBecomeNobody(who)) return cannotBecomeAnother(never);
  return {
    ...(holds ? { state: "ok" } : {
      state: "note",
      fix:
        "guests work; a kernel with Landlock (5.19 or newer, 'lsm=landlock,…' at its start) keeps a " +
        "QEMU that a guest took over from them",
    }),
    found: who.uid === 0 ? `called by root: ${asRoot(who)}, and ${never}` : CALLED_BY_USER + never,
  };
}

/** macOS has no filter of system calls and no Landlock, and what it had for that, sandbox-exec, is given up. */
function asCaller({ uid }: Caller): CheckResult {
  if (uid === 0) {
    return { state: "missing", found: ROOT_STAYS_ROOT.state, fix: ROOT_STAYS_ROOT.fix };
  }
  return {
    state: "note",
    found:
      "QEMU runs as the calling user, and nothing holds it to its own files: the machine that it makes is " +
      "all that keeps a guest from them",
    fix: "guests work; run what must not come near this user's files as another user, or on Linux",
  };
}

/** With the first version nobody renames from one directory to another, so a QEMU with a writable mount goes without. */
const LEAST_LANDLOCK = 2;

const NO_LANDLOCK =
  "this kernel has no Landlock that is new enough to keep it from files and the memory of processes of its user";

const CALLED_BY_USER = "called by a user: QEMU runs as the same user, without new privileges, and ";

function asRoot(who: Caller): string {
  const whom = hasOwnUsers(who) ? "a user of its own" : "nobody";
  return `QEMU becomes ${whom}; for a writable or private mount what serves the mount stays root, ` +
    "with the capabilities for files alone";
}

async function landlockVersion(launcher: string): Promise<number> {
  const run = promisify(execFile)(launcher, ["landlock"], { env: CHILD_ENV });
  return await run.then(({ stdout }) => Number(stdout) || 0, () => 0);
}

function cannotBecomeAnother(never: string): CheckResult {
  return {
    state: "note",
    found: "called by root that cannot become nobody, as in a rootless container: QEMU runs as " +
      `the same user, without capabilities, and ${never}`,
    fix: "guests work; for QEMU to be a user of its own, call sbx as an ordinary user, or give " +
      "the container more users (--map-auto, /etc/subuid) and leave setgroups allowed",
  };
}
