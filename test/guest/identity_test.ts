import { expect, test } from "bun:test";
import { type Caller, identityOf, maps } from "../../lib/guest/qemu/identity.ts";

const ALL = "         0          0 4294967295\n";
const ONE = "         0       1000          1\n";
const ROOTLESS = "         0       1000          1\n         1     100000      65536\n";

const ROOT: Caller = {
  uid: 0,
  capabilities: (1n << 41n) - 1n,
  uidMap: ALL,
  gidMap: ALL,
  setsGroups: true,
};
const NOBODY = { uid: 65534, gid: 65534 };
const FILES = ["chown", "dac_override", "fowner"];

test.each(
  [
    ["root, without need", ROOT, "public", "own", []],
    ["root, for its private files", ROOT, "private", undefined, ["dac_read_search"]],
    ["root, for a writable mount", ROOT, "writable", undefined, FILES],
    ["a user", { ...ROOT, uid: 1000, capabilities: 0n }, "writable", undefined, []],
    ["a user with capabilities", { ...ROOT, uid: 1000 }, "writable", undefined, []],
    ["root of one user", { ...ROOT, uidMap: ONE, gidMap: ONE }, "public", undefined, []],
    [
      "root of one user, writable",
      { ...ROOT, uidMap: ONE, gidMap: ONE },
      "writable",
      undefined,
      [],
    ],
    ["root of one group", { ...ROOT, gidMap: ONE }, "public", undefined, []],
    ["rootless root", { ...ROOT, uidMap: ROOTLESS, gidMap: ROOTLESS }, "public", NOBODY, []],
    ["root that keeps its groups", { ...ROOT, setsGroups: false }, "public", undefined, []],
    ["root without CAP_SETUID", { ...ROOT, capabilities: 1n << 6n }, "public", undefined, []],
    ["root without CAP_SETGID", { ...ROOT, capabilities: 1n << 7n }, "public", undefined, []],
  ] as const,
)("%s: as little as the mounts allow", (_, caller, needed, user, capabilities) => {
  const identity = identityOf(caller, needed);
  expect(identity.user).toEqual(user);
  expect(identity.capabilities).toEqual([...capabilities]);
});

test("a map has the identifiers of its ranges", () => {
  expect([0, 1, 65534, 65536, 65537].map((id) => maps(ROOTLESS, id)))
    .toEqual([true, true, true, true, false]);
  expect([maps(ROOTLESS, 1, 65536), maps(ROOTLESS, 0, 65536)]).toEqual([true, false]);
  expect(maps(ONE, 1)).toBe(false);
  expect(maps("", 0)).toBe(false);
});
