import { expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import { accountEntries } from "../../lib/guest/root/host_accounts.ts";
import { packTar, type TarEntry } from "../../lib/guest/root/tar.ts";

const textOf = (path: string, entries: readonly TarEntry[]) =>
  new TextDecoder().decode(entries.find((entry) => entry.path === path)?.data);

test("accounts are the system's, without people, members, comments or passwords", () => {
  const passwd = [
    "root:$6$secret:0:0:Root Person:/root:/usr/bin/fish",
    "daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin",
    "alice:x:1000:1000:Alice,,,:/home/alice:/bin/bash",
    "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin",
    "+::::::",
    "toor::0x0:0::/:/bin/sh",
    "",
  ].join("\n");
  const group = "root:x:0:\nsudo:x:27:alice,bob\nalice:x:1000:\ntty:x:5:\n";
  const entries = accountEntries(passwd, group);
  const names = (path: string) =>
    textOf(path, entries).trim().split("\n").map((line) => line.split(":")[0]);
  expect(names("/etc/passwd")).toEqual(["root", "daemon", "nobody"]);
  expect(names("/etc/group")).toEqual(["root", "sudo", "tty"]);
  const all = entries.map(({ path }) => textOf(path, entries)).join("");
  expect(all).not.toMatch(/alice|bob|secret|Person/i);
  expect(all).toContain("root:x:0:0:root:/root:/bin/");
});

test("the archive is one that tar reads, with modes, links and directories", () => {
  const archive = packTar([
    { path: "/etc/shadow", data: new TextEncoder().encode("x"), mode: 0o640 },
    { path: "/var/lib/x", directory: true },
    { path: "/etc/mtab", link: "/proc/mounts" },
    { path: "/run/tool", mode: 0o755 },
  ]);
  const listing = execFileSync("tar", ["-tvf", "-", "--numeric-owner"], { input: archive })
    .toString();
  expect(listing.split("\n").map((line) => line.replace(/ .*:\d\d /, " "))).toEqual([
    "-rw-r----- etc/shadow",
    "drwxr-xr-x var/lib/x",
    "lrw-r--r-- etc/mtab -> /proc/mounts",
    "-rwxr-xr-x run/tool",
    "",
  ]);
});

test("names and targets of any length are whole in the archive", () => {
  const name = `/etc/${"directory/".repeat(30)}${"ü".repeat(100)}`;
  const link = `/usr/${"t".repeat(300)}`;
  const archive = packTar([
    { path: name, data: new TextEncoder().encode("content") },
    { path: "/etc/link", link },
    { path: `/${"e".repeat(100)}`, link: "x".repeat(100) },
  ]);
  const listing = execFileSync("tar", ["-tvf", "-", "--quoting-style=literal"], { input: archive })
    .toString();
  const names = listing.trim().split("\n").map((line) => line.replace(/^.*\d\d:\d\d /, ""));
  expect(names).toEqual([
    name.slice(1),
    `etc/link -> ${link}`,
    `${"e".repeat(100)} -> ${"x".repeat(100)}`,
  ]);
  expect(execFileSync("tar", ["-xOf", "-", name.slice(1)], { input: archive }).toString())
    .toBe("content");
});
