/**
 * Small systems as directory trees: busybox for all programs, and programs of this machine with the
 * libraries that they need.
 *
 * @module
 */
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";

const APPLETS = [
  "cat",
  "chmod",
  "find",
  "grep",
  "id",
  "ls",
  "mount",
  "sh",
  "stat",
  "touch",
  "uname",
  "wc",
];

/** `/bin` is a link to `/usr/bin` by its absolute name, as some systems have it. */
export function makeSystem(top: string, programs: readonly string[] = []): void {
  for (const name of ["etc", "usr/bin", "root", "home/ann"]) {
    mkdirSync(join(top, name), { recursive: true });
  }
  symlinkSync("/usr/bin", join(top, "bin"));
  copyFileSync("/bin/busybox", join(top, "usr/bin/busybox"));
  for (const name of APPLETS) symlinkSync("busybox", join(top, "usr/bin", name));
  writeFileSync(
    join(top, "etc/passwd"),
    "root:x:0:0:root:/root:/bin/sh\nann:x:1234:100:Ann:/home/ann:/bin/sh\n",
  );
  writeFileSync(join(top, "etc/group"), "root:x:0:\nusers:x:100:\nextra:x:77:ann\n");
  chmodSync(join(top, "root"), 0o700);
  for (const program of programs) addProgram(top, program);
}

function addProgram(top: string, program: string): void {
  copyFileSync(program, join(top, "usr/bin", basename(program)));
  const libraries = execFileSync("ldd", [program], { encoding: "utf8" });
  for (const [path] of libraries.matchAll(/\/\S+/g)) {
    mkdirSync(join(top, dirname(path)), { recursive: true });
    copyFileSync(realpathSync(path), join(top, path));
  }
}
