/**
 * Where the homes of Lima's guests are that Lima's own drivers run on sbx's network.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { existsSync, readdirSync, realpathSync } from "node:fs";
import { basename, join } from "node:path";
import process from "node:process";
import { SbxError } from "../../base/errors.ts";
import { USERNET } from "../../guest/lima/usernet.ts";
import { dataDir } from "../paths.ts";

/** A socket's address, with the NUL at its end. */
const MOST_PATH = process.platform === "darwin" ? 104 : 108;

/** As it is without links: Lima resolves them, and makes the address of the guest's card of the path. */
export function usernetHome(name: string): string {
  return resolved(join(resolved(join(dataDir(), "lima-homes")), name));
}

/** The home of an instance; undefined for one of another home. */
export function usernetHomeOf(
  { name, dir }: { readonly name: string; readonly dir: string },
): string | undefined {
  const home = usernetHome(name);
  return join(home, name) === dir ? home : undefined;
}

/** The names of all guests that have one. What else is there, a leftover or .DS_Store, is none. */
export function usernetNames(): readonly string[] {
  try {
    const names = readdirSync(resolved(join(dataDir(), "lima-homes"))).sort();
    return names.filter(hasUsernetHome);
  } catch {
    return []; // none was ever made
  }
}

/** Whether the guest is there, and not just a home that was made for one. */
export function hasUsernetHome(name: string): boolean {
  return existsSync(join(usernetHome(name), name, "lima.yaml"));
}

/** What Lima has in a home, by names; those of its own directories begin otherwise. */
export function instancesIn(home: string): readonly string[] {
  try {
    const all = readdirSync(home, { withFileTypes: true }).filter((each) => each.isDirectory());
    return all.map(({ name }) => name).filter((name) => /^[A-Za-z0-9]/.test(name)).sort();
  } catch {
    return []; // there is no such home
  }
}

/** @throws SbxError LIMA_INSTANCE for a home in which Lima or sbx could not make its sockets */
export function requireShortEnough(home: string): void {
  const longest = [
    join(home, "_networks", USERNET, `${USERNET}_qemu.sock`),
    join(home, basename(home), "ssh.sock.1234567890123456"), // as OpenSSH makes it
  ];
  const most = Math.max(...longest.map((path) => Buffer.byteLength(path)));
  if (most < MOST_PATH) return;
  const state = `its sockets' paths would have ${most} bytes, and ${MOST_PATH - 1} is the most`;
  throw new SbxError("LIMA_INSTANCE", `Cannot keep a guest in ${home}: ${state}`, {
    hint: "give it a shorter name, or point XDG_DATA_HOME at a directory with a shorter path",
  });
}

function resolved(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path; // it is yet to be made
  }
}
