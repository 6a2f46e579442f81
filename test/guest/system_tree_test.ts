import { expect, test } from "bun:test";
import { SbxError } from "../../lib/base/errors.ts";
import { ELF_HEAD, systemTree } from "../../lib/guest/root/system_tree.ts";

/** The beginning of a program for a machine, as ELF has it. */
function elf(machine: number, order: "little" | "big" = "little"): Uint8Array {
  const head = new Uint8Array(ELF_HEAD);
  head.set([0x7f, 0x45, 0x4c, 0x46, 2, order === "little" ? 1 : 2]);
  new DataView(head.buffer).setUint16(18, machine, order === "little");
  return head;
}

const STORES = { bundleLinks: [] };
const rootOf = (shell: Uint8Array | undefined, own: "x64" | "arm64" = "x64") =>
  systemTree("/srv/tree", { trustStores: STORES, ...(shell === undefined ? {} : { shell }) }, own);

function refusal(shell: Uint8Array | undefined, own?: "x64" | "arm64"): string {
  try {
    rootOf(shell, own);
  } catch (error) {
    if (error instanceof SbxError) return `${error.code} ${error.message} (${error.hint})`;
    throw error;
  }
  return "";
}

test("a tree is all of the root, and not everybody's to read", () => {
  const root = rootOf(elf(62));
  expect(root.shares).toEqual([{ path: "/srv/tree", at: "/", isPrivate: true }]);
  expect(root.entries()).toEqual([]);
  expect(root.links).toEqual({});
});

test.each([[62, "x64"], [3, "x64"], [183, "arm64"]] as const)(
  "programs for machine %d run on %s",
  (machine, own) => expect(refusal(elf(machine), own)).toBe(""),
);

test.each(
  [
    [
      elf(183),
      "x64",
      "are for arm64, and guests here are x86-64 (make it with 'debootstrap --arch amd64'",
    ],
    [
      elf(62),
      "arm64",
      "are for x86-64, and guests here are arm64 (make it with 'debootstrap --arch arm64'",
    ],
    [elf(40), "arm64", "are for 32-bit ARM, and guests here are arm64"],
    [elf(22, "big"), "x64", "are for s390x, and"],
    [elf(999), "x64", "are for machine 999, and"],
    [elf(62).subarray(0, 19), "x64", "its /bin/sh is no program of Linux"],
    [new TextEncoder().encode("#!/usr/bin/env python3\n"), "x64", "its /bin/sh is no program"],
    [new Uint8Array(), "x64", "its /bin/sh is no program"],
    [
      undefined,
      "x64",
      "it has no /bin/sh (name the directory that holds a system's bin, etc and usr)",
    ],
  ] as const,
)("another tree is refused, with what to do: %#", (shell, own, words) => {
  const said = refusal(shell, own);
  expect(said).toStartWith("FILE_UNREADABLE Cannot use /srv/tree as the guest's root: ");
  expect(said).toContain(words);
});
