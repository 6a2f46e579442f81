/** What is the same for every guest on a Mac, before one starts. */
import { expect, test } from "bun:test";
import process from "node:process";
import { guestProvider } from "../../lib/host/guest_provider.ts";
import { MAC_QEMU } from "../../lib/host/macos/qemu.ts";
import { PLAN } from "./plan.ts";

test.skipIf(process.geteuid?.() !== 0)(
  "no guest is started for root, and the doctor says so",
  async () => {
    const provider = guestProvider(() => {}, [], MAC_QEMU);
    const refusal = { code: "REQUIREMENT_MISSING", hint: "call sbx as an ordinary user" };
    await expect(provider.probe()).rejects.toMatchObject(refusal);
    const watcher = { notice: () => {}, running: () => {} };
    await expect(provider.boot(PLAN, undefined, watcher)).rejects.toMatchObject({
      ...refusal,
      message:
        "Cannot start a guest: a QEMU of root's would have all of root's rights on this system",
    });
    const check = provider.checks.find(({ name }) => name === "privileges");
    expect(await check?.run()).toMatchObject({ state: "missing", fix: refusal.hint });
  },
);

test("the doctor finds mounts by QEMU itself in order", async () => {
  const check = guestProvider(() => {}, [], MAC_QEMU).checks.find(({ name }) => name === "mounts");
  expect(await check?.run()).toEqual({
    state: "ok",
    found: "9p (virtiofsd runs on Linux only)",
  });
});
