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
import { DAY_MS } from "../tls/authority/spec.ts";
import { requireFiles } from "../host/surroundings.ts";
import { CertificateAuthority } from "./certificate_authority.ts";
import { SandboxBuilder } from "./sandbox_builder.ts";

/** What one check found. */
export interface Finding extends CheckResult {
  /** What was looked for: `qemu`, `cache`. */
  readonly name: string;
}

/** Runs every check; none throws. */
export async function runChecks(): Promise<Finding[]> {
  return await Promise.all(checks().map(findingOf));
}

/** Starts a guest as a run would, has it run a command, and ends it; never throws. */
export async function bootCheck(signal: AbortSignal | undefined): Promise<Finding> {
  return await findingOf({ name: "guest", run: () => boot(signal) });
}

async function findingOf({ name, run }: Check): Promise<Finding> {
  try {
    return { name, ...await run() };
  } catch (error) {
    const hint = error instanceof SbxError ? error.hint : undefined;
    const found = error instanceof Error ? inSentence(error) : String(error);
    return { name, state: "missing", found, ...(hint === undefined ? {} : { fix: hint }) };
  }
}

function checks(): readonly Check[] {
  return [
    { name: "platform", run: platform },
    { name: "files", run: files },
    ...guestProvider().checks,
    { name: "cache", run: cache },
    { name: "components", run: components },
    { name: "resolvers", run: resolvers },
    { name: "authority", run: authority },
    { name: "name", run: otherSbx },
  ];
}

function platform(): Promise<CheckResult> {
  const found = `${process.platform} ${process.arch}`;
  if (process.arch === "x64" || process.arch === "arm64") {
    if (process.platform === "linux") return Promise.resolve({ state: "ok", found });
    if (process.platform === "darwin") {
      return Promise.resolve({
        state: "note",
        found: `${found}: nobody has run this build of sbx there yet`,
        fix: "guests need a Linux system: --root DIR; tell what works: 'sbx doctor --report'",
      });
    }
  }
  const fix = "sbx runs on Linux and macOS, on x64 and arm64";
  return Promise.resolve({ state: "missing", found, fix });
}

function files(): Promise<CheckResult> {
  requireFiles();
  return Promise.resolve({ state: "ok", found: "enough may be open at once" });
}

const ASSETS = ["netstack", "vmlinux", "initramfs"] as const;

/** One that has all that is needed need not be written to. */
async function cache(): Promise<CheckResult> {
  const path = cacheDir();
  const fix = "make it writable, or set XDG_CACHE_HOME to another place";
  try {
    await mkdir(path, { recursive: true });
    await rm(await mkdtemp(join(path, "doctor-")), { recursive: true });
    return { state: "ok", found: path };
  } catch (cause) {
    const error = fileError("write the cache", path, cause, fix);
    const isWhole = await Promise.all(ASSETS.map((name) => assetPath(name))).then(
      () => true,
      () => false,
    );
    if (!isWhole) throw error;
    return {
      state: "note",
      found: inSentence(error),
      fix: `guests start without that, but ${fix}`,
    };
  }
}

async function components(): Promise<CheckResult> {
  const paths = await Promise.all(ASSETS.map((name) => assetPath(name)));
  await requireSound(ASSETS);
  return { state: "ok", found: paths.join(", ") };
}

/** Guests start without one, and a line says that no name resolves in them. */
function resolvers(): Promise<CheckResult> {
  try {
    return Promise.resolve({ state: "ok", found: systemResolvers().join(", ") });
  } catch (error) {
    if (!(error instanceof SbxError)) throw error;
    return Promise.resolve({
      state: "note",
      found: inSentence(error),
      fix: "names will not resolve in guests: name a resolver with --dns-server",
    });
  }
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

async function boot(signal: AbortSignal | undefined): Promise<CheckResult> {
  const began = performance.now();
  const abortable = signal === undefined ? {} : { signal };
  try {
    await using sandbox = await new SandboxBuilder().create(abortable);
    const child = sandbox.exec("true", [], { stdin: false, ...abortable });
    const { code, signal: by } = await child.output();
    if (code !== 0) {
      const ended = code === undefined ? `signal ${by}` : `status ${code}`;
      return { state: "missing", found: `a guest starts, and 'true' ends in it with ${ended}` };
    }
  } catch (error) {
    // Its hint is to ask the doctor.
    if (!(error instanceof SbxError) || error.code !== "GUEST_START") throw error;
    const fix = "where these words do not say what to mend, report them: 'sbx doctor --report'";
    return { state: "missing", found: inSentence(error), fix };
  }
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  return { state: "ok", found: `one started, ran a command and ended, in ${seconds} s` };
}
