/**
 * The root that a directory tree makes, which is a whole system's: what debootstrap writes, or `docker export`.
 * Its content is as little trusted as the guest that gets it. Pure.
 *
 * @module
 */
import { rootCertificates } from "node:tls";
import { SbxError } from "../../base/errors.ts";
import { escapeText } from "../../base/escape.ts";
import type { Root } from "./root.ts";
import type { TrustStores } from "./trust_stores.ts";

/** What was found in a tree, by its own links and not by this machine's. */
export interface TreeFindings {
  /** The first bytes of its `/bin/sh`. Absent: there is none. */
  readonly shell?: Uint8Array;
  readonly trustStores: TrustStores;
}

/** `path`: absolute, without links. @throws SbxError FILE_UNREADABLE for a tree that no guest could run */
export function systemTree(
  path: string,
  { shell, trustStores }: TreeFindings,
  architecture: "x64" | "arm64",
): Root {
  refuseForeign(path, shell, architecture);
  return {
    shares: [{ path, at: "/", isPrivate: true }],
    links: {},
    home: "/root",
    env: {
      PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
      SHELL: "/bin/sh",
      LANG: "C.UTF-8",
    },
    publicRoots: rootCertificates,
    trustStores,
    entries: () => [],
  };
}

/** ELF's numbers (e_machine), and what people call them. */
const MACHINES: Readonly<Record<number, string>> = {
  3: "32-bit x86",
  8: "MIPS",
  20: "32-bit POWER",
  21: "POWER",
  22: "s390x",
  40: "32-bit ARM",
  62: "x86-64",
  183: "arm64",
  243: "RISC-V",
  258: "LoongArch",
};

const OWN = {
  // The kernel runs 32-bit programs of the same family as well; on arm64 not every processor does.
  x64: { machines: [62, 3], debian: "amd64", docker: "linux/amd64" },
  arm64: { machines: [183], debian: "arm64", docker: "linux/arm64" },
} as const;

/** How many bytes of the shell tell its machine. */
export const ELF_HEAD = 20;

function refuseForeign(
  path: string,
  shell: Uint8Array | undefined,
  architecture: "x64" | "arm64",
): void {
  if (shell === undefined) {
    throw unusable(
      path,
      "it has no /bin/sh",
      "name the directory that holds a system's bin, etc and usr",
    );
  }
  const machine = elfMachine(shell);
  if (machine === undefined) {
    throw unusable(path, "its /bin/sh is no program of Linux", "unpack the tree again");
  }
  const { machines, debian, docker } = OWN[architecture];
  if (machines.some((own) => own === machine)) return;
  const foreign = MACHINES[machine] ?? `machine ${machine}`;
  throw unusable(
    path,
    `its programs are for ${foreign}, and guests here are ${MACHINES[machines[0]]}`,
    `make it with 'debootstrap --arch ${debian}', or of an image for '--platform ${docker}'`,
  );
}

/** The machine in an ELF header; undefined for what is none. */
function elfMachine(head: Uint8Array): number | undefined {
  if (head.length < ELF_HEAD || ![0x7f, 0x45, 0x4c, 0x46].every((byte, at) => head[at] === byte)) {
    return undefined;
  }
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  return view.getUint16(18, head[5] !== 2);
}

/** The one error of a tree that cannot be a root. */
export function unusable(path: string, state: string, hint: string): SbxError {
  return new SbxError(
    "FILE_UNREADABLE",
    `Cannot use ${escapeText(path)} as the guest's root: ${state}`,
    { hint },
  );
}
