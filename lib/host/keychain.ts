/**
 * The keychain of the user's desktop, by the program that the platform has for it: `secret-tool` of
 * libsecret, or macOS's `security`. Values pass by pipes, never as arguments.
 *
 * What sbx keeps there carries a mark of its own, so that removing or replacing it leaves entries of the
 * same service that others made.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import process from "node:process";
import { CHILD_ENV } from "../base/child_env.ts";
import { SbxError } from "../base/errors.ts";
import { escapeText } from "../base/escape.ts";
import { systemWords } from "../base/file_error.ts";
import { runBounded, type RunEnd } from "./bounded_run.ts";
import { trustedProgram } from "./trusted_path.ts";

/** The keychain may ask its user to unlock it. */
const LIMIT_MS = 60_000;

/** What leads to the user's session and to its bus; the rest of the environment is none of its business. */
const SESSION = [
  "DBUS_SESSION_BUS_ADDRESS",
  "DISPLAY",
  "HOME",
  "USER",
  "WAYLAND_DISPLAY",
  "XAUTHORITY",
  "XDG_RUNTIME_DIR",
];

export interface Keychain {
  /** The program. */
  readonly program: string;
  /** Null: it has none. `own`: only what sbx keeps counts. */
  lookup(service: string, own: boolean, signal?: AbortSignal): Promise<string | null>;
  store(service: string, value: string): Promise<void>;
  /** Removes what sbx keeps, if anything. */
  clear(service: string): Promise<void>;
}

/** The program that this platform has its keychain by. */
export function keychainProgram(platform: string = process.platform): string {
  return platform === "darwin" ? "security" : "secret-tool";
}

/** Null where the program is not on the PATH, or only where the guest could have put it. */
export function findKeychain(
  writable: readonly string[] = [],
  platform: string = process.platform,
): Keychain | null {
  const program = keychainProgram(platform);
  const path = trustedProgram(program, writable);
  if (path === null) return null;
  return platform === "darwin" ? new MacKeychain(path) : new SecretService(path);
}

/** The interface that GNOME's keyring, KWallet and KeePassXC speak. */
class SecretService implements Keychain {
  readonly program: string;

  constructor(program: string) {
    this.program = program;
  }

  async lookup(service: string, own: boolean, signal?: AbortSignal): Promise<string | null> {
    const end = await this.#run(["lookup", ...attributes(service, own)], undefined, signal);
    // It says nothing of an entry that is not there.
    if (end.kind === "exited" && end.status === 1 && end.said.trim() === "") return null;
    return textOf(outputOf("read", end));
  }

  async store(service: string, value: string): Promise<void> {
    // It takes no more than 8191 bytes, and drops the rest without a word.
    if (Buffer.byteLength(value) > 8000) {
      throw keychainError("write to", "it keeps texts of up to 8000 bytes");
    }
    const label = `--label=sbx secret ${service}`;
    outputOf("write to", await this.#run(["store", label, ...attributes(service, true)], value));
    await requireStored(this, service, value);
  }

  async clear(service: string): Promise<void> {
    const end = await this.#run(["clear", ...attributes(service, true)]);
    if (end.kind === "exited" && end.status === 1 && end.said.trim() === "") return;
    outputOf("write to", end);
  }

  #run(args: readonly string[], input?: string, signal?: AbortSignal): Promise<RunEnd> {
    return run([this.program, ...args], input, signal);
  }
}

function attributes(service: string, own: boolean): string[] {
  return ["service", service, ...(own ? ["kept-by", "sbx"] : [])];
}

/** Its commands are told by its standard input, as arguments of `-w` would be seen by everybody. */
class MacKeychain implements Keychain {
  readonly program: string;

  constructor(program: string) {
    this.program = program;
  }

  async lookup(service: string, own: boolean, signal?: AbortSignal): Promise<string | null> {
    const argv = [this.program, "find-generic-password", ...account(own), "-s", service, "-w"];
    const end = await run(argv, undefined, signal);
    if (isMissing(end)) return null;
    return textOf(outputOf("read", end));
  }

  async store(service: string, value: string): Promise<void> {
    // It prints others in hexadecimal without saying so, and reads lines of 4096 bytes.
    if (!/^[\x20-\x7e]{1,1500}$/.test(value)) {
      throw keychainError("write to", "it keeps texts of up to 1500 printable characters of ASCII");
    }
    const bytes = Buffer.from(value).toString("hex");
    const line = `add-generic-password -U -a sbx -s ${quoted(service)} -X ${bytes}\n`;
    outputOf("write to", await run([this.program, "-i"], line));
    // In this mode a command that failed does not end it.
    await requireStored(this, service, value);
  }

  async clear(service: string): Promise<void> {
    const argv = [this.program, "delete-generic-password", ...account(true), "-s", service];
    const end = await run(argv);
    if (!isMissing(end)) outputOf("write to", end);
  }
}

/** A program can say that all is well and have kept something else. */
async function requireStored(keychain: Keychain, service: string, value: string): Promise<void> {
  if (await keychain.lookup(service, true) === value) return;
  await keychain.clear(service);
  throw keychainError("write to", "what was written is not there");
}

function account(own: boolean): string[] {
  return own ? ["-a", "sbx"] : [];
}

function quoted(text: string): string {
  return `"${text.replace(/["\\]/g, "\\$&")}"`;
}

/** errSecItemNotFound, as an exit status. */
function isMissing(end: RunEnd): boolean {
  return end.kind === "exited" && end.status === 44;
}

function run(
  argv: readonly string[],
  input?: string,
  signal?: AbortSignal,
): Promise<RunEnd> {
  const session = SESSION.flatMap((name) => {
    const value = process.env[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  return runBounded({
    argv,
    env: { ...CHILD_ENV, ...Object.fromEntries(session) },
    cwd: "/",
    limitMs: LIMIT_MS,
    ...(input === undefined ? {} : { input }),
    ...(signal === undefined ? {} : { signal }),
  });
}

function outputOf(doing: string, end: RunEnd): Buffer {
  switch (end.kind) {
    case "exited":
      if (end.status === 0) return end.output;
      throw keychainError(doing, firstLine(end.said) || `its program said ${end.status}`);
    case "killed":
      throw keychainError(doing, `its program was ended by ${end.signal}`);
    case "late":
      throw keychainError(doing, `it did not answer within ${LIMIT_MS / 1000} s`);
    case "flood":
      throw keychainError(doing, "what it has is longer than a value");
    case "stopped":
      throw keychainError(doing, "the sandbox was ended");
    case "unstarted":
      throw keychainError(doing, `its program did not start: ${systemWords(end.cause)}`);
  }
}

function textOf(output: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(output).replace(/\r?\n$/, "");
  } catch {
    throw keychainError("read", "what it has is no text");
  }
}

function firstLine(said: string): string {
  return escapeText(said.trim().split("\n")[0]?.replace(/^(?:secret-tool|security): /, "") ?? "");
}

function keychainError(doing: string, state: string): SbxError {
  return new SbxError("SECRET_UNAVAILABLE", `Cannot ${doing} the keychain: ${state}`, { state });
}
