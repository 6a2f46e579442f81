/**
 * The checks of `sbx doctor`.
 *
 * @module
 */
import { mkdir, mkdtemp, realpath, rm } from "node:fs/promises";
import { delimiter, join } from "node:path";
import process from "node:process";
import { inSentence, SbxError } from "../base/errors.ts";
import { fileError } from "../base/file_error.ts";
import type { Check, CheckResult } from "../guest/provider.ts";
import { assetPath, requireSound } from "../host/assets.ts";
import { guestProvider } from "../host/guest_provider.ts";
import { systemResolvers } from "../host/network.ts";
import { cacheDir } from "../host/paths.ts";
import { requireRuntime } from "../host/surroundings.ts";
import { DAY_MS } from "../tls/authority/spec.ts";
import { CertificateAuthority } from "./certificate_authority.ts";

/** What one check found. */
export interface Finding extends CheckResult {
  /** What was looked for: `qemu`, `cache`. */
  readonly name: string;
}

/** Runs every check; none throws. */
export async function runChecks(): Promise<Finding[]> {
  return await Promise.all(
    checks().map(async ({ name, run }) => {
      try {
        return { name, ...await run() };
      } catch (error) {
        const hint = error instanceof SbxError ? error.hint : undefined;
        const found = error instanceof Error ? inSentence(error) : String(error);
        return { name, state: "missing", found, ...(hint === undefined ? {} : { fix: hint }) };
      }
    }),
  );
}

function checks(): readonly Check[] {
  return [
    { name: "platform", run: platform },
    ...guestProvider().checks,
    { name: "cache", run: cache },
    { name: "components", run: components },
    { name: "resolvers", run: resolvers },
    { name: "authority", run: authority },
    { name: "name", run: otherSbx },
  ];
}

function platform(): Promise<CheckResult> {
  requireRuntime();
  const found = `${process.platform} ${process.arch}`;
  const supported = process.platform === "linux" &&
    (process.arch === "x64" || process.arch === "arm64");
  return Promise.resolve(
    supported
      ? { state: "ok", found }
      : { state: "missing", found, fix: "sbx runs on Linux, x64 and arm64" },
  );
}

async function cache(): Promise<CheckResult> {
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

const ASSETS = ["netstack", "vmlinux", "initramfs"] as const;

async function components(): Promise<CheckResult> {
  const paths = await Promise.all(ASSETS.map((name) => assetPath(name)));
  await requireSound(ASSETS);
  return { state: "ok", found: paths.join(", ") };
}

function resolvers(): Promise<CheckResult> {
  const found = systemResolvers();
  return Promise.resolve(
    found.length > 0 ? { state: "ok", found: found.join(", ") } : {
      state: "note",
      found: "this machine has no resolver",
      fix: "names will not resolve in guests: name a resolver with --dns-server",
    },
  );
}

/** From this many days before its end on, an authority is worth a word. */
const EXPIRES_SOON_DAYS = 30;

/** Only interception needs one, so one that cannot be used leaves the rest of sbx as it is. */
async function authority(): Promise<CheckResult> {
  try {
    const kept = await CertificateAuthority.load();
    if (kept === null) return { state: "ok", found: "none is kept: each sandbox makes its own" };
    const days = Math.floor((kept.notAfter.getTime() - Date.now()) / DAY_MS);
    const found = `${kept.subject}, valid for ${days} more days`;
    if (days > EXPIRES_SOON_DAYS) return { state: "ok", found };
    return { state: "note", found, fix: "replace it with 'sbx ca rotate'" };
  } catch (error) {
    if (!(error instanceof SbxError)) throw error;
    const found = inSentence(error);
    return { state: "note", found, fix: error.hint ?? "replace it with 'sbx ca rotate'" };
  }
}

/** Other tools are called sbx as well; whoever has two should know which one answers. */
async function otherSbx(): Promise<CheckResult> {
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
