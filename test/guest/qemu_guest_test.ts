import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { SbxError } from "../../lib/base/errors.ts";
import { QemuGuest } from "../../lib/guest/qemu/guest.ts";
import { hostRoot } from "../../lib/guest/root/host_root.ts";
import { guestProvider } from "../../lib/host/guest_provider.ts";
import { spawnQemu } from "../../lib/host/qemu_process.ts";
import { outcome, shell } from "./agent_process.ts";
import { PLAN } from "./plan.ts";

const place = mkdtempSync(join(tmpdir(), "sbx-guest-"));
afterAll(() => rmSync(place, { recursive: true }));

/** A launcher that becomes the program without giving anything up. */
const LAUNCHER = join(place, "launch");
writeFileSync(LAUNCHER, '#!/bin/sh\nwhile [ "$1" != -- ]; do shift; done\nshift\nexec "$@"\n', {
  mode: 0o755,
});

/** A process in QEMU's place: its console is standard output, and its agent's port descriptor 3. */
function machine(script: string): QemuGuest {
  const qemu = spawnQemu({
    launcher: LAUNCHER,
    argv: ["/bin/sh", "-c", script],
    files: [],
    directories: [],
    daemons: [],
    channels: 0,
    identity: { capabilities: [] },
    reads: [],
    writes: [],
    readOnly: false,
    kvm: false,
    connects: false,
  });
  return new QemuGuest(qemu, "tcg");
}

const CONFIG = {
  hostname: "box",
  entropy: "",
  home: "/root",
  env: {},
  trees: [],
  mounts: [],
};

async function startFailure(script: string): Promise<SbxError> {
  const guest = machine(script);
  const error = await guest.configure(CONFIG, new Uint8Array()).then(
    () => new Error("it started"),
    (error) => error,
  );
  expect(error).toBeInstanceOf(SbxError);
  await guest.exited; // whether it went by itself or was ended
  return error;
}

test("a machine that ends before its agent answers says how, and what its console last said", async () => {
  const error = await startFailure("printf 'booting\\r\\n\\033[1mno disk\\n'; exit 3");
  expect(error.code).toBe("GUEST_START");
  expect(error.message).toContain("QEMU ended (status 3)");
  expect(error.message).toMatch(/it last said: booting.* \/ \?\[1mno disk/);
  expect((await startFailure("kill -KILL $$")).message).toContain("(SIGKILL)");
});

test("an agent that speaks no protocol of ours ends the start, and its machine", async () => {
  const error = await startFailure("printf 'SSH-2.0-agent\\r\\n' >&3; exec sleep 60");
  expect(error.code).toBe("PROTOCOL");
});

test("a launcher that is not there is a guest that did not start", () => {
  const identity = { capabilities: [] };
  const lists = { argv: [], files: [], directories: [], daemons: [], reads: [], writes: [] };
  const nothing = { ...lists, channels: 0, identity, readOnly: false, kvm: false, connects: false };
  expect(() => spawnQemu({ ...nothing, launcher: join(place, "none") }))
    .toThrow(expect.objectContaining({ code: "GUEST_START" }));
});

async function boot(ended?: Promise<unknown>) {
  const notices: string[] = [];
  const pids: number[] = [];
  const guest = await guestProvider().boot({ ...PLAN, mounts: [], root: hostRoot() }, undefined, {
    notice: (line) => notices.push(line),
    running: (pid) => pids.push(pid),
    ...(ended === undefined ? {} : { ended }),
  });
  return { guest, notices, pid: pids[0] ?? 0 };
}

test("a plan becomes a guest that runs commands, and stop leaves nothing of it", async () => {
  const { guest, notices, pid } = await boot();
  expect(notices.length).toBe(guest.accelerator === "tcg" ? 1 : 0);
  const script = "hostname; cat /etc/machine-id; echo $SHELL; pwd; ls /sys/class/net; exit 5";
  expect(await outcome(guest.exec(shell(script)))).toEqual({
    stdout: `box\n${PLAN.machineId}\n/bin/sh\n/root\nlo\n`,
    stderr: "",
    code: 5,
  });
  await guest.stop();
  expect(await guest.exited).toBeUndefined();
  expect(() => process.kill(pid, 0)).toThrow();
}, 120_000);

test("a machine that is ended from outside is lost, with its commands", async () => {
  const { guest, pid } = await boot();
  const command = guest.exec(shell("sleep 60"));
  process.kill(pid, "SIGKILL");
  await expect(command.exit).rejects.toMatchObject({ code: "GUEST_LOST" });
  const lost = await guest.exited;
  expect(lost?.code).toBe("GUEST_LOST");
  expect(lost?.message).toContain("SIGKILL");
}, 120_000);

test("a start that is given up leaves no machine", async () => {
  const given = Promise.withResolvers<void>();
  const booting = boot(given.promise);
  given.resolve();
  await expect(booting).rejects.toBeInstanceOf(SbxError);
}, 120_000);
