/**
 * A guest as distributions make them: Debian with systemd, its own kernel, OpenSSH and a disk, made of
 * packages by mmdebstrap. It takes a minute to make, which is done once, and longer to boot.
 *
 * @module
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join, resolve } from "node:path";
import type { TestGuest } from "./small_guest.ts";

const PACKAGES = [
  "linux-image-cloud-amd64",
  "systemd-sysv",
  "systemd-resolved",
  "dbus",
  "udev",
  "openssh-server",
  "ca-certificates",
  "curl",
  "iproute2",
  "initramfs-tools",
  // For Lima itself.
  "cloud-init",
  "netplan.io",
  "sudo",
];

/** What Lima's cloud-init would do, by the guest itself; where Lima does it, it needs the place of the medium. */
const FILES = {
  "etc/systemd/network/eth0.network":
    "[Match]\nName=eth0\n[Network]\nDHCP=ipv4\nIPv6AcceptRA=yes\n[DHCPv4]\nUseMTU=yes\n",
  "etc/systemd/system/trust.service": `[Unit]
ConditionKernelCommandLine=cloud-init=disabled
Before=ssh.service
[Service]
Type=oneshot
ExecStart=sh -c 'mount -o ro /dev/disk/by-label/cidata /mnt && for f in /mnt/*.sh; do [ ! -e $f ] || sh $f; done; cp /mnt/*.crt /usr/local/share/ca-certificates/ && update-ca-certificates'
[Install]
WantedBy=multi-user.target
`,
  // Where guests are emulated, cloud-init takes minutes for what Lima does not ask of it.
  "etc/cloud/cloud.cfg.d/99-test.cfg": `datasource_list: [NoCloud, None]
ssh_deletekeys: false
ssh_genkeytypes: [ed25519]
cloud_init_modules: [bootcmd, write-files, users-groups, ssh, ca-certs]
cloud_config_modules: []
cloud_final_modules: [scripts-per-boot, scripts-user]
`,
  // Nor does it need the world's authorities: there is no server of theirs, and each would be looked at when sbx's joins.
  "etc/ca-certificates.conf": "",
  "etc/fstab": "LABEL=root / ext4 defaults 0 1\n",
  "etc/hostname": "lima-debian\n",
};

const UNITS = ["systemd-networkd", "systemd-resolved", "trust", "ssh"];

/** What is made of other packages or files is another guest. */
const DIGEST = createHash("sha256").update(JSON.stringify([PACKAGES, FILES, UNITS])).digest("hex");

const PLACE = resolve(
  import.meta.dirname,
  `../../../.cache/test/lima-debian-${DIGEST.slice(0, 12)}`,
);

/** Keeps cloud-init out of a guest whose Lima is played. */
export const WITHOUT_CLOUD_INIT = " cloud-init=disabled";

/** Makes it where it is not made yet; needs root, as mmdebstrap does for users that may not map others. */
export function makeDebianGuest(): TestGuest {
  if (!existsSync(PLACE)) make();
  return {
    kernel: join(PLACE, "vmlinuz"),
    commandLine: `root=LABEL=root rw console=ttyS0 net.ifnames=0 quiet${WITHOUT_CLOUD_INIT}`,
    memory: 768 << 20,
    bootSeconds: 600,
    key: join(PLACE, "key"),
    fetch(instance) {
      copyFileSync(join(PLACE, "initrd"), join(instance, "initrd"));
      execFileSync("cp", ["--sparse=always", join(PLACE, "disk"), join(instance, "image")]);
    },
    tell(instance, authorities, scripts) {
      const directory = join(PLACE, "cidata");
      rmSync(directory, { recursive: true, force: true });
      mkdirSync(directory);
      for (const [index, pem] of authorities.entries()) {
        writeFileSync(join(directory, `sbx-${index}.crt`), pem);
      }
      for (const [index, script] of scripts.entries()) {
        writeFileSync(join(directory, `${index}.sh`), script);
      }
      format(directory, join(instance, "cidata.iso"), "cidata", 8);
    },
  };
}

function make(): void {
  const part = `${PLACE}.part`;
  const root = join(part, "root");
  rmSync(part, { recursive: true, force: true });
  mkdirSync(part, { recursive: true });
  const include = `--include=${PACKAGES.join(",")}`;
  execFileSync("mmdebstrap", ["--variant=minbase", include, "bookworm", root], {
    stdio: "inherit",
  });
  for (const [path, text] of Object.entries(FILES)) writeFileSync(join(root, path), text);
  execFileSync("chroot", [root, "systemctl", "enable", ...UNITS], { stdio: "ignore" });
  execFileSync("chroot", [root, "update-ca-certificates", "--fresh"], { stdio: "ignore" });
  execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", join(part, "key")]);
  mkdirSync(join(root, "root/.ssh"), { recursive: true, mode: 0o700 });
  copyFileSync(join(part, "key.pub"), join(root, "root/.ssh/authorized_keys"));
  const boot = join(root, "boot");
  for (const [prefix, name] of [["vmlinuz-", "vmlinuz"], ["initrd.img-", "initrd"]] as const) {
    const found = readdirSync(boot).find((file) => file.startsWith(prefix)) ?? "";
    copyFileSync(join(boot, found), join(part, name));
  }
  format(root, join(part, "disk"), "root", 2_000);
  rmSync(root, { recursive: true });
  renameSync(part, PLACE);
}

/** A file system of so many MiB with what is in a directory. */
function format(directory: string, path: string, label: string, mib: number): void {
  rmSync(path, { force: true });
  // Blocks no smaller than a sector of the CD that it may be.
  const argv = ["-q", "-t", "ext4", "-b", "4096", "-L", label, "-d", directory, path, `${mib}M`];
  execFileSync("/usr/sbin/mke2fs", argv);
}
