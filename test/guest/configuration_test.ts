import { expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import { archive, configuration } from "../../lib/guest/configuration.ts";
import { ownEntries } from "../../lib/guest/own_entries.ts";
import { AUTHORITY } from "../../lib/guest/root/trust.ts";
import { NETWORK, PLAN } from "./plan.ts";

const makeDatabase = () => Promise.resolve(new Uint8Array());
const ENTROPY = new Uint8Array(32).fill(1);

/** What the archive has at a path. */
function unpacked(packed: Uint8Array, path: string): string {
  return execFileSync("tar", ["-xOf", "-", path.slice(1)], { input: packed }).toString();
}

test("the agent is told of the root and the mounts by the tags that the machine offers", () => {
  const config = configuration(PLAN, { roots: [] }, ENTROPY, { transport: "9p" });
  expect(config).toEqual({
    hostname: "box",
    entropy: ENTROPY.toBase64(),
    trees: [{ tag: "tree0", at: "/usr" }, { tag: "tree1", at: "/opt" }],
    mounts: [
      { tag: "mount0", at: "/in", readOnly: true, transport: "9p" },
      { tag: "mount1", at: "/out", readOnly: false, transport: "9p" },
    ],
    links: { bin: "usr/bin" },
    home: "/home/root",
    env: { PATH: "/usr/bin" },
  });
});

test("an authority and a network are told of only where there are some", () => {
  const config = configuration(
    { ...PLAN, network: NETWORK },
    { roots: [], authority: ["pem"] },
    ENTROPY,
    { transport: "9p" },
  );
  const { search: _, mac: __, ...told } = NETWORK;
  expect(config.network).toEqual(told);
  expect(config.trust?.authority).toBe(AUTHORITY);
});

test("a single file travels in the archive and is mounted, read-only, where it was asked for", async () => {
  const entry = { path: "/run/sbx/file0", data: new TextEncoder().encode("text"), mode: 0o444 };
  const plan = { ...PLAN, mounts: [], files: [{ entry, at: "/etc/tool.conf" }] };
  expect(configuration(plan, { roots: [] }, ENTROPY, { transport: "virtiofs", files: 9 }).mounts)
    .toEqual([{ file: "/run/sbx/file0", at: "/etc/tool.conf", readOnly: true }]);
  expect(unpacked(await archive(plan, { roots: [] }, makeDatabase), "/run/sbx/file0")).toBe("text");
});

test("what one guest is comes after what its root has, and replaces it", async () => {
  const stale = [{ path: "/etc/hostname", data: new TextEncoder().encode("tree\n") }];
  const root = { ...PLAN.root, entries: () => [...PLAN.root.entries(), ...stale] };
  const packed = await archive({ ...PLAN, root, network: NETWORK }, { roots: [] }, makeDatabase);
  expect(unpacked(packed, "/etc/hostname")).toBe("tree\nbox\n"); // tar takes the later one
  expect(unpacked(packed, "/etc/shells")).toBe("/bin/sh\n");
  expect(unpacked(packed, "/etc/machine-id")).toBe(`${PLAN.machineId}\n`);
  expect(unpacked(packed, "/etc/resolv.conf")).toBe("nameserver 192.0.2.1\nsearch corp.example\n");
});

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
