/**
 * The guest's users and groups: those that the distribution and its packages made, since files of /usr
 * and package scripts name them, and none of the host's people. No one has a password.
 *
 * @module
 */
import { existsSync, readFileSync } from "node:fs";
import type { TarEntry } from "./tar.ts";

/** Numbers below are the distribution's, by Debian's and Fedora's policies alike. */
const FIRST_PERSON = 1000;
const NOBODY = 65534;

const FALLBACK = {
  passwd: "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin",
  group: "tty:x:5:\nnogroup:x:65534:",
};

/** What to write: names and numbers of the host's system accounts, whatever else stands there left out. */
export function accountEntries(
  passwd = readOr("/etc/passwd", FALLBACK.passwd),
  group = readOr("/etc/group", FALLBACK.group),
): TarEntry[] {
  const shell = existsSync("/bin/bash") ? "/bin/bash" : "/bin/sh";
  const users = records(passwd).filter(({ name, id }) => name !== "root" && isSystem(id));
  const groups = records(group).filter(({ name, id }) => name !== "root" && isSystem(id));
  const names = ["root", ...users.map(({ name }) => name)];
  return [
    text("/etc/passwd", [
      `root:x:0:0:root:/root:${shell}`,
      ...users.map(({ name, id, rest: [gid = "", , home = "/", shell = ""] }) =>
        `${name}:x:${id}:${gid}::${home}:${shell}`
      ),
    ]),
    text("/etc/group", ["root:x:0:", ...groups.map(({ name, id }) => `${name}:x:${id}:`)]),
    text("/etc/shadow", names.map((name) => `${name}:*:20000:0:99999:7:::`), 0o640),
    text("/etc/gshadow", ["root:*::", ...groups.map(({ name }) => `${name}:!::`)], 0o640),
  ];
}

function isSystem(id: number): boolean {
  return id < FIRST_PERSON || id === NOBODY;
}

/** Lines of passwd(5) and group(5) that are of their form; NIS's `+` lines, for one, are not. */
function records(text: string) {
  return text.split("\n").flatMap((line) => {
    const [name = "", , id = "", ...rest] = line.split(":");
    const isRecord = /^[a-z_][a-z0-9_.-]{0,31}\$?$/i.test(name) && /^\d{1,10}$/.test(id);
    return isRecord ? [{ name, id: Number(id), rest }] : [];
  });
}

function text(path: string, lines: readonly string[], mode = 0o644): TarEntry {
  return { path, data: new TextEncoder().encode(`${lines.join("\n")}\n`), mode };
}

function readOr(path: string, fallback: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return fallback;
  }
}
