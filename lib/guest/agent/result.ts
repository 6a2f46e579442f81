/**
 * What the agent says at the end of a call. The text is the guest's and has no bounds of form; what
 * leaves here has. Pure.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { isLoopback, parseAddress } from "../../base/address.ts";
import { type ErrorCode, SbxError } from "../../base/errors.ts";
import { decodeOsString } from "../../base/os_string.ts";
import type { CallFailure, Fields } from "../../wire/call_result.ts";
import type { FileKind, FileStat } from "../files.ts";

/** How a command ended: one of the two. */
export interface CommandStatus {
  readonly code?: number;
  /** The number of the signal that ended it. */
  readonly signal?: number;
}

/** A server that only the guest itself can reach. */
export interface LoopbackServer {
  /** Its address: of 127.0.0.0/8, or ::1. */
  readonly at: string;
  /** The port of the guest's own address that leads there, when one was asked for. */
  readonly port?: number;
}

/** What the guest's kernel says of its own machine. A guest that was taken over says what it likes. */
export interface GuestUsage {
  /** Averages of the load over 1, 5 and 15 minutes. */
  readonly load: readonly [number, number, number];
  /** Memory that the kernel manages, in bytes. */
  readonly totalBytes: number;
  /** What of it programs could still have. */
  readonly availableBytes: number;
  /** The agent and the kernel's threads among them. */
  readonly processes: number;
}

/** @throws SbxError PROTOCOL */
export function commandStatus({ code, signal }: Fields): CommandStatus {
  if (signal === undefined && isWithin(code, 0, 255)) return { code };
  if (code === undefined && isWithin(signal, 1, 64)) return { signal };
  throw malformed();
}

/** @throws SbxError PROTOCOL */
export function fileStat({ kind, size, mode, mtimeMs, uid, gid, target }: Fields): FileStat {
  if (
    !isKind(kind) || !isWithin(size, 0, Number.MAX_SAFE_INTEGER) || !isWithin(mode, 0, 0o7777) ||
    !isWithin(mtimeMs, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER) ||
    !isWithin(uid, 0, 0xffff_ffff) || !isWithin(gid, 0, 0xffff_ffff) ||
    (kind === "symlink") !== (typeof target === "string")
  ) throw malformed();
  const stat = { kind, size, mode, mtimeMs, uid, gid };
  if (typeof target !== "string") return stat;
  return { ...stat, target: decodeOsString(Buffer.from(target, "base64")) };
}

/** Whether who answered a `stat` knows of attributes in trees; agents of older versions do not. */
export function knowsAttributes({ attributes }: Fields): boolean {
  return attributes === true;
}

/** How many attributes a tree lost where it was made. @throws SbxError PROTOCOL */
export function attributesLeftOut({ attributesLeftOut: count = 0 }: Fields): number {
  if (!isWithin(count, 0, Number.MAX_SAFE_INTEGER)) throw malformed();
  return count;
}

const KINDS: readonly unknown[] = ["file", "directory", "symlink", "other"] satisfies FileKind[];

function isKind(value: unknown): value is FileKind {
  return KINDS.includes(value);
}

/** Microseconds since 1970. @throws SbxError PROTOCOL */
export function clockTime({ timeUs }: Fields): number {
  if (!isWithin(timeUs, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER)) throw malformed();
  return timeUs;
}

/** A server of the guest that listens on its loopback alone; null for none. @throws SbxError PROTOCOL */
export function loopbackServer({ at, port }: Fields): LoopbackServer | null {
  if (at === undefined && port === undefined) return null;
  const address = typeof at === "string" ? parseAddress(at) : null;
  if (address === null || !isLoopback(address)) throw malformed();
  if (port === undefined) return { at: address.text };
  if (!isWithin(port, 1, 65_535)) throw malformed();
  return { at: address.text, port };
}

/** Addresses at which servers of the guest listen. @throws SbxError PROTOCOL */
export function listenerAddresses({ at }: Fields): readonly string[] {
  if (!Array.isArray(at)) throw malformed();
  return at.map((text) => {
    const address = typeof text === "string" ? parseAddress(text) : null;
    if (address === null) throw malformed();
    return address.text;
  });
}

/** @throws SbxError PROTOCOL */
export function guestUsage(fields: Fields): GuestUsage {
  const { load, totalBytes, availableBytes, processes } = fields;
  const most = Number.MAX_SAFE_INTEGER;
  if (
    !Array.isArray(load) || load.length !== 3 || !load.every(isLoad) ||
    !isWithin(totalBytes, 0, most) || !isWithin(availableBytes, 0, totalBytes) ||
    !isWithin(processes, 0, most)
  ) throw malformed();
  const [one = 0, five = 0, fifteen = 0] = load;
  return { load: [one, five, fifteen], totalBytes, availableBytes, processes };
}

function isLoad(value: unknown): value is number {
  return typeof value === "number" && value >= 0 && value < 1e9;
}

/** A map, because the code is the guest's word and may be one that every object answers to. */
const FAILURES: ReadonlyMap<string, ErrorCode> = new Map([
  ["not-found", "EXEC_NOT_FOUND"],
  ["not-executable", "EXEC_NOT_EXECUTABLE"],
  ["no-directory", "EXEC_NOT_EXECUTABLE"],
  ["no-user", "EXEC_NOT_EXECUTABLE"],
]);

/** Why a command did not start, as the error for whoever wanted it. */
export function commandFailure({ code, message }: CallFailure): SbxError {
  return new SbxError(FAILURES.get(code) ?? "GUEST_FAILED", `Cannot run the command: ${message}`);
}

const CONNECT_FAILURES: ReadonlyMap<string, ErrorCode> = new Map([
  ["refused", "CONNECTION_REFUSED"],
  ["reset", "CONNECTION_RESET"],
]);

/** Why a connection to a port of the guest did not come about, or broke. */
export function connectFailure(port: number, { code, message }: CallFailure): SbxError {
  const error = CONNECT_FAILURES.get(code) ?? "GUEST_FAILED";
  return new SbxError(error, `Cannot connect to port ${port} of the guest: ${message}`);
}

function isWithin(value: unknown, low: number, high: number): value is number {
  return Number.isInteger(value) && (value as number) >= low && (value as number) <= high;
}

function malformed(): SbxError {
  return new SbxError("PROTOCOL", "Cannot follow the guest's agent: it sent a malformed result");
}
