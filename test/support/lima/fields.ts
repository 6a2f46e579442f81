/**
 * Every field that a yaml of Lima 2.2 can have, and what sbx makes of it. Whether these are all is asked of Lima's own
 * limactl (test/e2e/limactl_home_by_hand.ts): a field that nobody thought of may be a way around the policy.
 *
 * @module
 */

/** What sbx makes of a field: refuses what it is set to here, sets it to what is here, or has nothing against it. */
export type Field =
  | { readonly refused: unknown }
  | { readonly set: unknown }
  | { readonly accepted: unknown };

const refused = (value: unknown): Field => ({ refused: value });
const accepted = (value: unknown): Field => ({ accepted: value });

/** By its path; what stands below a path that is here is of the same kind, unless it is here as well. */
export const FIELDS: Readonly<Record<string, Field>> = {
  // What leads around the policy, or is something that guests of sbx do not have.
  os: refused("Windows"),
  additionalDisks: refused([{ name: "data" }]),
  mounts: refused([{ location: "~" }]),
  "ssh.forwardAgent": refused(true),
  "ssh.forwardX11": refused(true),
  "ssh.forwardX11Trusted": refused(true),
  "ssh.overVsock": refused(true),
  "audio.device": refused("default"),
  "video.display": refused("vnc"),
  portForwards: refused([{ guestPort: 80 }]),
  copyToHost: refused([{ guest: "/etc/hostname", host: "/tmp/x" }]),
  networks: refused([{ lima: "user-v2" }]),
  "hostResolver.hosts": refused({ a: "192.0.2.1" }),
  plain: refused(false),
  tpm: refused(true),

  // What sbx decides.
  "hostResolver.enabled": { set: false },
  propagateProxyEnv: { set: false },

  // Which sbx has the guest, and with what policy.
  vmType: accepted("sbx"),
  vmOpts: accepted({ sbx: { policy: "none" }, qemu: { minimumVersion: "8.0" } }),
  // What Lima makes of templates before anybody is asked, and what it says.
  base: accepted([]),
  minimumLimaVersion: accepted("2.2.0"),
  message: accepted("hello"),
  param: accepted({ a: "b" }),
  // What the guest is: its machine, what is on its disk, what runs in it.
  arch: accepted("x86_64"),
  images: accepted([{ location: "/disk", arch: "x86_64" }]),
  cpuType: accepted({ x86_64: "max" }),
  cpus: accepted(4),
  memory: accepted("1GiB"),
  disk: accepted("10GiB"),
  firmware: accepted({ legacyBIOS: true, images: [] }),
  audio: accepted({ device: "", interface: "hda" }),
  video: accepted({ display: "none", vnc: { display: "127.0.0.1:0" } }),
  rosetta: accepted({ enabled: true, binfmt: true }),
  nestedVirtualization: accepted(true),
  osOpts: accepted({ Windows: { virtioWin: [] } }),
  upgradePackages: accepted(true),
  containerd: accepted({ system: true, user: true, archives: [] }),
  guestInstallPrefix: accepted("/usr"),
  probes: accepted([{ mode: "readiness", script: "true" }]),
  provision: accepted([{ mode: "system", script: "true" }]),
  env: accepted({ A: "b" }),
  caCerts: accepted({ removeDefaults: true, files: [], certs: ["mine"] }),
  timezone: accepted("UTC"),
  user: accepted({ name: "u", uid: 1000 }),
  // How its mounts would be, of which it has none.
  mountType: accepted("virtiofs"),
  mountTypesUnsupported: accepted(["9p"]),
  mountInotify: accepted(true),
  // Whom it lets in, and where; whom it asks for names, which is a flow like any other.
  ssh: accepted({ localPort: 60_022, loadDotSSHPubKeys: true }),
  dns: accepted(["9.9.9.9"]),
  hostResolver: accepted({ ipv6: true }),
};

/** The one that a path of Lima's belongs to; undefined: nobody thought of it. */
export function fieldOf(path: string): string | undefined {
  const words = path.split(".");
  for (let length = words.length; length > 0; length--) {
    const name = words.slice(0, length).join(".");
    if (Object.hasOwn(FIELDS, name)) return name;
  }
  return undefined;
}
