/**
 * The smallest guest that Lima could have, made of Debian's packages: a kernel, and an initial file system
 * with a DHCP client, an SSH server, a web server and a client of TLS. It boots in seconds where guests
 * are emulated.
 *
 * @module
 */
import { execFileSync, spawnSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  cpSync,
  mkdirSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, resolve } from "node:path";
import process from "node:process";
import { buildGo } from "../build.ts";

const HERE = import.meta.dirname;
const KERNEL = resolve(HERE, "../../../.cache/kernel", process.arch);

/** What a guest boots from, as Lima would have fetched and written it. */
export interface TestGuest {
  readonly kernel: string;
  readonly commandLine: string;
  /** In bytes. */
  readonly memory: number;
  /** How long it may take to let anybody in, on a busy machine that emulates it. */
  readonly bootSeconds: number;
  /** Whom the guest lets in; a private key. */
  readonly key: string;
  /** Puts the image into an instance's directory. */
  fetch(instance: string): void;
  /** Tells the guest of an instance whom to trust, and what to run at its boot, as Lima's cloud-init does. */
  tell(instance: string, authorities: readonly string[], scripts: readonly string[]): void;
}

/** Makes it in a directory of its own, which goes with its owner. */
export function makeSmallGuest(directory: string): TestGuest {
  const root = join(directory, "root");
  const put = (from: string, to: string, mode = 0o755) => {
    mkdirSync(dirname(join(root, to)), { recursive: true });
    copyFileSync(from, join(root, to));
    chmodSync(join(root, to), mode);
  };
  const write = (to: string, text: string) => {
    mkdirSync(dirname(join(root, to)), { recursive: true });
    writeFileSync(join(root, to), text);
  };
  for (const name of ["dev", "proc", "sys", "run", "tmp", "usr/bin", "bin"]) {
    mkdirSync(join(root, name), { recursive: true });
  }
  put("/bin/busybox", "bin/busybox");
  put(join(HERE, "init"), "init");
  put(join(HERE, "udhcpc.sh"), "etc/udhcpc.sh");
  put("/usr/sbin/dropbear", "bin/dropbear");
  for (const program of ["/bin/busybox", "/usr/sbin/dropbear"]) {
    for (const library of librariesOf(program)) put(library, library);
  }
  put(buildGo("webclient"), "bin/webclient");
  cpSync(join(KERNEL, "modules"), join(root, "modules"), { recursive: true });
  const key = join(directory, "key");
  execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", key]);
  execFileSync("dropbearkey", ["-t", "ed25519", "-f", join(root, "etc/dropbear.key")], {
    stdio: "ignore",
  });
  put(`${key}.pub`, "root/.ssh/authorized_keys", 0o600);
  write("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n");
  write("etc/group", "root:x:0:\n");
  write("etc/shells", "/bin/sh\n");
  write("www/index.html", "hello from the guest\n");
  return {
    kernel: join(KERNEL, "vmlinux"),
    commandLine: "quiet console=ttyS0 net.ifnames=0",
    memory: 256 << 20,
    bootSeconds: 60,
    key,
    fetch(instance) {
      // It needs no disk, and QEMU one to open.
      for (const name of ["image", "cidata.iso"]) {
        writeFileSync(join(instance, name), "");
        truncateSync(join(instance, name), 1 << 20);
      }
    },
    tell(instance, authorities, scripts) {
      rmSync(join(root, "provision"), { recursive: true, force: true });
      for (const [index, script] of scripts.entries()) write(`provision/${index}.sh`, script);
      write("etc/ssl/certs/ca-certificates.crt", authorities.join("\n"));
      const pack = "find . | busybox cpio -o -H newc";
      writeFileSync(
        join(instance, "initrd"),
        execFileSync("sh", ["-c", pack], {
          cwd: root,
          maxBuffer: 1 << 30,
          stdio: ["ignore", "pipe", "ignore"],
        }),
      );
    },
  };
}

/** Of a program, as the loader finds them, itself among them; none of one that is static. */
function librariesOf(program: string): string[] {
  const { stdout } = spawnSync("ldd", [program], { encoding: "utf8" });
  return [...stdout.matchAll(/(\/\S+) \(0x/g)].map(([, path = ""]) => path);
}
