/**
 * What sbx needs on this machine, and what it found of it. Each check answers on its own, so that
 * one missing thing does not hide the next.
 *
 * @module
 */
import { execFile } from "node:child_process";
import { mkdtemp, realpath, rm } from "node:fs/promises";
import { mkdir } from "node:fs/promises";
import { delimiter, join } from "node:path";
import process from "node:process";
import { promisify } from "node:util";
import { SbxError } from "../base/errors.ts";
import { CertificateAuthority } from "../mod.ts";
import { fileError } from "../base/file_error.ts";
import { findAccelerator } from "../guest/accelerator.ts";
import { qemuProgram } from "../guest/qemu_args.ts";
import { assetPath } from "../host/assets.ts";
import { cacheDir } from "../host/paths.ts";
import { systemResolvers } from "../host/network.ts";

export interface Finding {
  readonly name: string;
  /** `note`: works, with a drawback that is worth knowing. */
  readonly state: "ok" | "note" | "missing";
  readonly found: string;
  /** What to do about it. */
  readonly fix?: string;
}

/** Runs every check; none throws. */
export async function examine(): Promise<Finding[]> {
  const checks: readonly (readonly [string, () => Promise<Omit<Finding, "name">>])[] = [
    ["platform", platform],
    ["qemu", qemu],
    ["accelerator", accelerator],
    ["cache", cache],
    ["components", components],
    ["resolvers", resolvers],
    ["privileges", privileges],
    ["authority", authority],
    ["name", otherSbx],
  ];
  return await Promise.all(checks.map(async ([name, check]) => {
    try {
      return { name, ...await check() };
    } catch (error) {
      const hint = error instanceof SbxError ? error.hint : undefined;
      const message = error instanceof Error ? error.message : String(error);
      const found = message.replace(/^Cannot /, "cannot ");
      return { name, state: "missing", found, ...(hint === undefined ? {} : { fix: hint }) };
    }
  }));
}

type Found = Omit<Finding, "name">;

function platform(): Promise<Found> {
  const found = `${process.platform} ${process.arch}`;
  const supported = process.platform === "linux" &&
    (process.arch === "x64" || process.arch === "arm64");
  return Promise.resolve(
    supported
      ? { state: "ok", found }
      : { state: "missing", found, fix: "sbx runs on Linux, x64 and arm64" },
  );
}

/** QEMU before 7.2 has no stream network backend, which carries the guest's frames. */
const OLDEST_QEMU = [7, 2] as const;

async function qemu(): Promise<Found> {
  const program = qemuProgram(architecture());
  const fix = `install QEMU ${OLDEST_QEMU.join(".")} or newer: ${QEMU_PACKAGE}`;
  const text = await promisify(execFile)(program, ["--version"]).then(
    ({ stdout }) => stdout,
    () => "",
  );
  const [, major, minor] = /version (\d+)\.(\d+)/.exec(text) ?? [];
  if (major === undefined) return { state: "missing", found: `${program} is not on the PATH`, fix };
  const [oldestMajor, oldestMinor] = OLDEST_QEMU;
  const old = Number(major) < oldestMajor ||
    (Number(major) === oldestMajor && Number(minor) < oldestMinor);
  const found = text.split("\n")[0] ?? program;
  return old ? { state: "missing", found, fix } : { state: "ok", found };
}

const QEMU_PACKAGE = process.arch === "arm64"
  ? "apt-get install qemu-system-arm"
  : "apt-get install qemu-system-x86";

async function accelerator(): Promise<Found> {
  const { accelerator: kind, reason } = await findAccelerator(architecture(), {
    assetPath,
    cacheDir,
  });
  if (kind !== "tcg") return { state: "ok", found: kind };
  return {
    state: "note",
    found: `emulation (${reason})`,
    fix:
      "guests work but run slower; for KVM use a machine with hardware virtualisation, and be in group kvm",
  };
}

async function cache(): Promise<Found> {
  const path = cacheDir();
  try {
    await mkdir(path, { recursive: true });
    await rm(await mkdtemp(join(path, "doctor-")), { recursive: true });
  } catch (cause) {
    throw fileError(
      "write the cache",
      path,
      cause,
      "make it writable, or set XDG_CACHE_HOME to another place",
    );
  }
  return { state: "ok", found: path };
}

async function components(): Promise<Found> {
  const paths = await Promise.all((["netstack", "vmlinux", "initramfs"] as const).map(assetPath));
  return { state: "ok", found: paths.join(", ") };
}

function resolvers(): Promise<Found> {
  const found = systemResolvers();
  return Promise.resolve(
    found.length > 0 ? { state: "ok", found: found.join(", ") } : {
      state: "note",
      found: "this machine has no resolver",
      fix: "names will not resolve in guests: name a resolver with --dns-server",
    },
  );
}

function privileges(): Promise<Found> {
  const root = process.getuid?.() === 0;
  return Promise.resolve({
    state: "ok",
    found: root
      ? "called by root: QEMU gives up root and all capabilities, unless a writable mount needs them"
      : "called by a user: QEMU runs as the same user, without new privileges",
  });
}

/** From this many days before its end on, an authority is worth a word. */
const EXPIRES_SOON_DAYS = 30;

/** Only interception needs one, so one that cannot be used leaves the rest of sbx as it is. */
async function authority(): Promise<Found> {
  try {
    const kept = await CertificateAuthority.load();
    if (kept === null) return { state: "ok", found: "none is kept: each sandbox makes its own" };
    const days = Math.floor((kept.notAfter.getTime() - Date.now()) / 86_400_000);
    const found = `${kept.subject}, valid for ${days} more days`;
    if (days > EXPIRES_SOON_DAYS) return { state: "ok", found };
    return { state: "note", found, fix: "replace it with 'sbx ca rotate'" };
  } catch (error) {
    if (!(error instanceof SbxError)) throw error;
    const found = error.message.replace(/^Cannot /, "cannot ");
    return { state: "note", found, fix: error.hint ?? "replace it with 'sbx ca rotate'" };
  }
}

/** Other tools are called sbx as well; whoever has two should know which one answers. */
async function otherSbx(): Promise<Found> {
  const own = await realpath(process.execPath);
  const places = (process.env["PATH"] ?? "").split(delimiter).filter((place) => place !== "");
  const named = await Promise.all(
    places.map((place) => realpath(join(place, "sbx")).catch(() => null)),
  );
  const first = named.find((path) => path !== null);
  if (first === undefined || first === null || first === own) {
    return {
      state: "ok",
      found: first === own ? "sbx on the PATH is this one" : "no other sbx on the PATH",
    };
  }
  return {
    state: "note",
    found: `sbx on the PATH is ${first}`,
    fix: `another program of this name comes first; call this one by its path, ${own}`,
  };
}

function architecture(): "x64" | "arm64" {
  return process.arch === "arm64" ? "arm64" : "x64";
}
