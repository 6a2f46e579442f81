import { expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import {
  configuration,
  guestEntries,
  preparation,
  rootEntries,
} from "../../lib/guest/configuration.ts";
import { ownEntries } from "../../lib/guest/own_entries.ts";
import type { GuestPlan } from "../../lib/guest/plan.ts";
import type { Root } from "../../lib/guest/root/root.ts";
import { packTar } from "../../lib/guest/root/tar.ts";
import { AUTHORITY, BUNDLE, type GuestTrust } from "../../lib/guest/root/trust.ts";
import { makeAuthority } from "../../lib/tls/authority/authority.ts";
import { NETWORK, PLAN } from "./plan.ts";

const { certificatePem: PEM } = (await makeAuthority()).authority;

const makeDatabase = () => Promise.resolve(new Uint8Array());
const ENTROPY = new Uint8Array(32).fill(1);

/** What a guest's own archive has. */
const own = async (plan: GuestPlan, trust: GuestTrust = { roots: [] }) =>
  packTar(await guestEntries(plan, await rootEntries(plan.root), trust, makeDatabase));

/** What every guest's first archive has. */
const common = async (root: Root) => packTar((await rootEntries(root)).early);

/** What the archive has at a path. */
function unpacked(packed: Uint8Array, path: string): string {
  return execFileSync("tar", ["-xOf", "-", path.slice(1)], { input: packed }).toString();
}

test("the agent is told of the root and the mounts by the tags that the machine offers", () => {
  const config = configuration(PLAN, { roots: [] }, ENTROPY, { transport: "9p" });
  expect(config).toEqual({
    hostname: "box",
    entropy: ENTROPY.toBase64(),
    mounts: [
      { tag: "mount0", at: "/in", readOnly: true, transport: "9p" },
      { tag: "mount1", at: "/out", readOnly: false, transport: "9p" },
    ],
    env: { PATH: "/usr/bin" },
  });
  expect(preparation(PLAN, ["virtiofs"])).toEqual({
    trees: [{ tag: "tree0", at: "/usr" }, { tag: "tree1", at: "/opt" }],
    links: { bin: "usr/bin" },
    home: "/home/root",
    modules: ["virtiofs"],
  });
});

test("a machine that was saved before it was prepared is told so, with random bytes of its own", () => {
  const resumed = (bytes?: Uint8Array) => preparation(PLAN, [], undefined, bytes).resumed;
  expect(resumed()).toBeUndefined();
  expect(resumed(ENTROPY)).toEqual({ entropy: ENTROPY.toBase64() });
});

test("a disk is told of, and whether it is kept", () => {
  const disk = (more = {}) => preparation({ ...PLAN, disk: { bytes: 1 << 30, ...more } }, []).disk;
  expect([disk(), disk({ path: "/srv/box.disk" })]).toEqual([{ kept: false }, { kept: true }]);
  // What it begins with is somebody's, whether or not it stays.
  expect(disk({ from: "/srv/other.disk", owner: "0f".repeat(16) }))
    .toEqual({ kept: true, owner: "0f".repeat(16) });
  expect(preparation(PLAN, [])).not.toHaveProperty("disk");
});

test("a kept disk gets whom to trust at each start, also where that is everybody's", async () => {
  const root = { ...PLAN.root, publicRoots: ["public"] };
  const disk = { bytes: 1 << 30, path: "/srv/box.disk" };
  expect(unpacked(await own({ ...PLAN, root, disk }, { roots: ["public"] }), BUNDLE)).toBe(
    "public\n",
  );
});

test("an authority and a network are told of only where there are some", () => {
  const config = configuration(
    { ...PLAN, network: NETWORK },
    { roots: [], authority: ["pem"] },
    ENTROPY,
    { transport: "9p" },
  );
  const { search: _, mac: __, ...told } = NETWORK;
  expect(preparation({ ...PLAN, network: NETWORK }, []).network).toEqual(told);
  expect(config.trust?.authority).toBe(AUTHORITY);
});

test("a single file travels in the archive and is mounted, read-only, where it was asked for", async () => {
  const entry = { path: "/run/sbx/file0", data: new TextEncoder().encode("text"), mode: 0o444 };
  const plan = { ...PLAN, mounts: [], files: [{ entry, at: "/etc/tool.conf" }] };
  expect(configuration(plan, { roots: [] }, ENTROPY, { transport: "virtiofs", files: 9 }).mounts)
    .toEqual([{ file: "/run/sbx/file0", at: "/etc/tool.conf", readOnly: true }]);
  expect(unpacked(await own(plan), "/run/sbx/file0")).toBe("text");
});

test("what every guest has is in the common archive, and what one guest is in its own alone", async () => {
  const policy = { path: "/usr/sbin/policy", data: new TextEncoder().encode("exit\n") };
  const root = {
    ...PLAN.root,
    publicRoots: ["public"],
    entries: () => [...PLAN.root.entries(), policy],
  };
  const everybodys = await common(root);
  const plan = { ...PLAN, root, network: NETWORK };
  const its = await own(plan, { roots: ["public"] });
  expect(unpacked(everybodys, "/etc/shells")).toBe("/bin/sh\n");
  expect(unpacked(everybodys, "/usr/sbin/policy")).toBe("exit\n");
  expect(unpacked(everybodys, BUNDLE)).toBe("public\n");
  expect(unpacked(its, "/etc/hostname")).toBe("box\n");
  expect(unpacked(its, "/etc/machine-id")).toBe(`${PLAN.machineId}\n`);
  expect(unpacked(its, "/etc/resolv.conf")).toBe("nameserver 192.0.2.1\nsearch corp.example\n");
  const names = (packed: Uint8Array) =>
    execFileSync("tar", ["-tf", "-"], { input: packed }).toString().split("\n");
  expect(names(everybodys).filter((name) => /hostname|hosts|machine-id|resolv/.test(name)))
    .toEqual([]);
  expect(names(its)).not.toContain(BUNDLE.slice(1));
});

test.each([{ roots: ["public", "the host's"] }, { roots: ["public"], authority: [PEM] }])(
  "whom only this guest trusts is in its own archive: %j",
  async (trust) => {
    const root = { ...PLAN.root, publicRoots: ["public"] };
    const its = await own({ ...PLAN, root }, trust);
    expect(unpacked(its, BUNDLE)).toBe(
      [...trust.roots, ...trust.authority ?? []].map((pem) => `${pem.trim()}\n`).join(""),
    );
    expect(unpacked(await common(root), BUNDLE)).toBe("public\n");
  },
);

test("without a network no resolver is named, and every name of the guest is its own", () => {
  const text = (path: string, hostname: string) =>
    new TextDecoder().decode(
      ownEntries({ hostname, machineId: PLAN.machineId, search: [] })
        .find((entry) => entry.path === path)?.data,
    );
  expect(text("/etc/resolv.conf", "box")).toBe("");
  expect(text("/etc/hosts", "box")).toContain("127.0.1.1 box\n");
  expect(text("/etc/hosts", "box.corp.example")).toContain("127.0.1.1 box.corp.example box\n");
});
