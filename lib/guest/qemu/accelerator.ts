/**
 * Which accelerator really runs guests here, found out once for each boot of this machine.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { access, constants, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { escapeText } from "../../base/escape.ts";
import { type Accelerator, type Architecture, qemuProgram } from "./args.ts";
import { identityOf } from "./identity.ts";
import type { QemuHost } from "./launch.ts";
import { probe } from "./probe.ts";
import { remember } from "./remembered.ts";

/** What the probe found. */
export interface AcceleratorFinding {
  readonly accelerator: Accelerator;
  /** Why not a faster one; empty when there is none faster. */
  readonly reason: string;
}

export type AcceleratorHost =
  & Pick<QemuHost, "assetPath" | "cacheDir" | "platform" | "bootId">
  /** Absent: QEMU runs as whoever this is. */
  & Partial<Pick<QemuHost, "caller">>;

/** Probes, or reads what an earlier run on this boot of the host found. */
export async function findAccelerator(
  architecture: Architecture,
  host: AcceleratorHost,
  program: string = qemuProgram(architecture),
): Promise<AcceleratorFinding> {
  if (host.platform.hypervisor === "hvf") return await findHvf(architecture, host, program);
  const closed = await closedKvm(host);
  if (closed !== null) return emulation(closed);
  // On arm64 no broken KVM is known that opens.
  if (architecture !== "x64") return by("kvm");
  return await known(host, "", async () => {
    const fault = await probeOf(architecture, "kvm", host, program);
    return fault === null ? by("kvm") : emulation("/dev/kvm opens but cannot run a guest");
  });
}

const KVM = "/dev/kvm";

/** Why QEMU may not open KVM's device; null: it may. */
async function closedKvm({ caller }: AcceleratorHost): Promise<string | null> {
  try {
    await access(KVM, constants.R_OK | constants.W_OK);
    const other = caller !== undefined && identityOf(caller(), "public").user !== undefined;
    return !other || isOpenToOthers(await stat(KVM))
      ? null
      : "root alone may open /dev/kvm, and its QEMU becomes another user";
  } catch (error) {
    const missing = error instanceof Error && "code" in error && error.code === "ENOENT";
    return missing ? "this machine has no /dev/kvm" : "this user may not open /dev/kvm";
  }
}

/** Who QEMU becomes gets the device's group by `netstack launch`, save root's. */
function isOpenToOthers({ mode, gid }: { readonly mode: number; readonly gid: number }): boolean {
  return (mode & 0o006) === 0o006 || ((mode & 0o060) === 0o060 && gid !== 0);
}

/** Whether the machine has it, and macOS lets this QEMU use it, which has to be signed for that, is one answer. */
async function findHvf(
  architecture: Architecture,
  host: AcceleratorHost,
  program: string,
): Promise<AcceleratorFinding> {
  const file = await stat(program).catch(() => null);
  if (file === null) return emulation("there is no QEMU to try Hypervisor.framework with");
  const { mtimeMs, size, ino } = file;
  const which = createHash("sha256").update([program, mtimeMs, size, ino].join(" ")).digest("hex");
  return await known(host, `-${which.slice(0, 16)}`, async () => {
    const fault = await probeOf(architecture, "hvf", host, program);
    if (fault === null) return by("hvf");
    const said = fault === "" ? "it does not run a guest" : escapeText(fault);
    return emulation(`QEMU cannot use Hypervisor.framework: ${said}`);
  });
}

async function probeOf(
  architecture: Architecture,
  accelerator: Accelerator,
  host: AcceleratorHost,
  program: string,
): Promise<string | null> {
  const launcher = await host.assetPath("netstack");
  const { platform } = host;
  const spec = {
    program,
    launcher,
    architecture,
    accelerator,
    platform,
    cacheDir: host.cacheDir(),
  };
  return await probe(spec).catch(() => "");
}

/** Where the system does not say which boot this is, as in some sandboxes, every run finds out anew. */
async function known(
  host: AcceleratorHost,
  which: string,
  find: () => Promise<AcceleratorFinding>,
): Promise<AcceleratorFinding> {
  const boot = host.bootId();
  if (boot === null) return await find();
  const cached = join(host.cacheDir(), `accelerator-${boot}${which}.json`);
  const kept = await readFile(cached, "utf8").then(
    (text) => parseFinding(text, host.platform.hypervisor),
    () => null,
  );
  if (kept !== null) return kept;
  const finding = await find();
  await remember(cached, JSON.stringify(finding));
  return finding;
}

function by(accelerator: Accelerator): AcceleratorFinding {
  return { accelerator, reason: "" };
}

function emulation(reason: string): AcceleratorFinding {
  return { accelerator: "tcg", reason };
}

function parseFinding(text: string, hypervisor: Accelerator): AcceleratorFinding | null {
  try {
    const { accelerator, reason } = JSON.parse(text);
    const fits = (accelerator === hypervisor || accelerator === "tcg") &&
      typeof reason === "string";
    return fits ? { accelerator, reason: escapeText(reason) } : null;
  } catch {
    return null;
  }
}
