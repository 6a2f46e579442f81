/**
 * What an instance of Lima's may not have, because it would lead around the policy, or because sbx
 * gives its guests no such thing. Pure.
 *
 * @module
 */
import { type Complaint, SbxError } from "../../base/errors.ts";
import type { LimaInstance } from "./instance.ts";
import { ownDriverOf } from "./own_driver.ts";
import { USERNET } from "./usernet.ts";

type Config = LimaInstance["config"];

interface Row {
  readonly has: (config: Config, instance: LimaInstance) => boolean;
  readonly state: string;
  readonly hint: string;
}

/** Of a guest that one of Lima's own drivers runs: the one card on the network that is sbx. */
function isGoverned(networks: Config["networks"]): boolean {
  const [card] = networks;
  return networks.length === 1 && card?.lima === USERNET && card.socket === "" && !card.vzNAT;
}

/** Displays and sound cards that are none. */
const NOTHING: ReadonlySet<string> = new Set(["", "none"]);

const ROWS: readonly Row[] = [
  {
    has: ({ networks }, { config }) =>
      ownDriverOf({ config }) === undefined ? networks.length > 0 : !isGoverned(networks),
    state: "networks lists a network that nobody would judge",
    hint: "leave networks out: the guest's only network is sbx's",
  },
  {
    has: ({ plain }) => !plain,
    state: "Lima would forward ports and mount directories over SSH, past the policy",
    hint: "set plain: true",
  },
  {
    has: ({ mounts }) => mounts > 0,
    state: "mounts shows directories of this machine to the guest over SSH, past the policy",
    hint: "set mounts: [] and copy files with 'sbx cp'",
  },
  {
    has: ({ portForwards }) => portForwards > 0,
    state: "portForwards leads to ports over SSH, past the policy",
    hint: "leave it out, and name ports in vmOpts.sbx.publish",
  },
  {
    has: ({ copyToHost }) => copyToHost > 0,
    state: "copyToHost has what the guest says written to files of this machine, and those removed",
    hint: "leave it out, and copy files with 'sbx cp'",
  },
  {
    has: ({ provision }) => provision.some(({ mode }) => mode === "ansible"),
    state: "provision has a playbook run on this machine",
    hint: "leave it out, and run ansible-playbook yourself when the guest runs",
  },
  {
    has: ({ hostResolver }) => Object.keys(hostResolver?.hosts ?? {}).length > 0,
    state: "hostResolver.hosts names hosts for a resolver of Lima's, and the guest's is sbx",
    hint: "leave it out, and use --add-host of 'sbx lima start'",
  },
  {
    has: ({ ssh }) => ssh?.forwardAgent ?? false,
    state: "ssh.forwardAgent lets the guest use this machine's SSH keys",
    hint: "set ssh.forwardAgent: false",
  },
  {
    has: ({ ssh }) => (ssh?.forwardX11 ?? false) || (ssh?.forwardX11Trusted ?? false),
    state: "ssh.forwardX11 lets the guest use this machine's display",
    hint: "set ssh.forwardX11: false",
  },
  {
    // VZ uses it where nobody says.
    has: ({ ssh, vmType }) => ssh?.overVsock ?? vmType === "vz",
    state: "ssh.overVsock needs a way to the guest beside its network",
    hint: "set ssh.overVsock: false",
  },
  {
    has: ({ os }) => os !== "" && os !== "Linux",
    state: "its guest is not Linux",
    hint: "set os: Linux",
  },
  {
    has: ({ additionalDisks }) => additionalDisks > 0,
    state: "additionalDisks lists disks that sbx does not attach",
    hint: "leave additionalDisks out",
  },
  {
    has: ({ video }) => !NOTHING.has(video?.display ?? ""),
    state: "video.display asks for a display, which guests of sbx do not have",
    hint: 'set video.display: "none"',
  },
  {
    has: ({ audio }) => !NOTHING.has(audio?.device ?? ""),
    state: "audio.device asks for a sound card, which guests of sbx do not have",
    hint: 'set audio.device: "none"',
  },
  {
    has: ({ tpm }) => tpm,
    state: "tpm asks for a security module, which guests of sbx do not have",
    hint: "set tpm: false",
  },
];

const LIMA_ARCHITECTURES = { x64: "x86_64", arm64: "aarch64" } as const;

/**
 * @throws SbxError LIMA_INSTANCE with all that is wrong, the first as its message
 */
export function requireGoverned(instance: LimaInstance, own: "x64" | "arm64"): void {
  const { name, arch, config } = instance;
  const cannot = `Cannot run Lima's instance ${name}`;
  const found: Complaint[] = ROWS.filter(({ has }) => has(config, instance))
    .map(({ state, hint }) => ({ message: `${cannot}: ${state}`, hint }));
  if (arch !== LIMA_ARCHITECTURES[own]) {
    found.push({
      message: `${cannot}: its architecture is ${arch}, and this machine's is another`,
      hint: `set arch: ${LIMA_ARCHITECTURES[own]}`,
    });
  }
  const [first, ...others] = found;
  if (first === undefined) return;
  const { message, hint } = first;
  throw new SbxError("LIMA_INSTANCE", message, {
    others,
    ...(hint === undefined ? {} : { hint }),
  });
}
