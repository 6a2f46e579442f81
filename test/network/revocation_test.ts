/**
 * Decisions while flows live: a policy that is tightened, and a decider that is gone. Through the namespace
 * guest, on the real netstack and network layer.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import process from "node:process";
import { type NamespaceGuest, openNamespaceGuest } from "../support/namespace_guest.ts";
import { PUBLIC, PUBLIC_2, PUBLIC_6 } from "../support/places.ts";
import { type Running, until } from "../support/process.ts";
import { contacts } from "../support/recorder.ts";
import { openWorld, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world?.[Symbol.asyncDispose]());

/** In the guest: three conversations without end; says when one of them ends. */
const TALK = `
import os, socket, threading, time
def say(*words): os.write(1, (" ".join(words) + "\\n").encode()) # whole lines, whichever thread
def tcp(at):
    s = socket.create_connection((at, 7), 20)
    say("talking", at)
    try:
        while True:
            s.sendall(b"x"); s.recv(1) or exit(); time.sleep(0.02)
    except (OSError, SystemExit) as e: say("ended", at, type(e).__name__)
def udp(at):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(0.05); s.connect((at, 7))
    told = False
    while True:
        try:
            s.send(b"x"); s.recv(99)
            if not told: told = True; say("talking udp")
        except OSError: pass
        time.sleep(0.02)
for f, at in ((tcp, "${PUBLIC}"), (tcp, "${PUBLIC_2}"), (udp, "${PUBLIC_2}")):
    threading.Thread(target=f, args=(at,), daemon=True).start()
time.sleep(1000)`;

async function talking(guest: NamespaceGuest): Promise<Running> {
  const running = guest.start(["python3", "-uc", TALK]);
  for (const who of [PUBLIC, PUBLIC_2, "udp"]) {
    await until(who, () => running.stdout().includes(`talking ${who}\n`));
  }
  return running;
}

const KEPT = { policy: "public-only", rules: [`allow@${PUBLIC}`, "deny:outbound@any"] } as const;

describe("a tighter policy", () => {
  test("cuts live flows at once, one event each, and leaves what it still allows", async () => {
    await using guest = await openNamespaceGuest(world, { policy: "public-only" });
    const running = await talking(guest);
    await guest.apply(KEPT);
    await until("the cut", () => running.stdout().includes(`ended ${PUBLIC_2}`));
    expect(running.stdout()).toContain(`ended ${PUBLIC_2} ConnectionResetError`);
    const revoked = () => guest.journal.filter(({ event }) => event === "revoked");
    await until("the events", () => revoked().length >= 2);
    // The guest goes on trying; nothing of it gets out any more.
    await world.internet.reset();
    await new Promise((wake) => setTimeout(wake, 500));
    // On a busy machine half a second may pass without a word of those that go on.
    const kept = async () => (await world.internet.report()).bytes[`${PUBLIC}:7`] ?? 0;
    await until("what goes on", async () => await kept() > 0);
    expect(contacts(await world.internet.report(), [PUBLIC_2])).toEqual({});
    expect(running.stdout()).not.toContain(`ended ${PUBLIC}\n`);
    expect(revoked().map(({ protocol, destination }) => `${protocol} ${destination}`).sort())
      .toEqual([`tcp ${PUBLIC_2}:7`, `udp ${PUBLIC_2}:7`]);
    running.kill();
  });

  test("holds for datagrams of a flow that lives, and a looser one opens it again", async () => {
    await using guest = await openNamespaceGuest(world, { policy: "public-only" });
    const running = await talking(guest);
    for (const [policy, passes] of [[KEPT, false], [{ policy: "public-only" }, true]] as const) {
      await guest.apply(policy);
      // One datagram may be on its way between the two.
      await new Promise((wake) => setTimeout(wake, 200));
      await world.internet.reset();
      const arrived = async () =>
        ((await world.internet.report()).datagrams[`${PUBLIC_2}:7`] ?? 0) > 0;
      if (passes) await until("datagrams", arrived);
      else {
        await new Promise((wake) => setTimeout(wake, 500));
        expect(await arrived()).toBe(false);
      }
    }
    running.kill();
  });
});

/** In the guest: tries everything once, and says what worked. */
const TRY = `
import socket
def tcp(at):
    socket.create_connection((at, 7), 3); return at
def udp(at):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(1); s.connect((at, 7)); s.send(b"?"); s.recv(9)
    return "udp"
def name(_):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(1); s.connect(("192.168.127.1", 53))
    s.send(bytes.fromhex("0001010000010000000000000361706907616c6c6f776564047465737400") + b"\\0\\1\\0\\1"); s.recv(999)
    return "name"
for f, at in ((name, ""), (udp, "${PUBLIC_2}"), (tcp, "${PUBLIC_2}"), (tcp, "${PUBLIC_6}")):
    try: print(f(at), flush=True)
    except OSError: pass`;

const ALL = ["name", "udp", PUBLIC_2, PUBLIC_6, ""].join("\n");

describe("a decider", () => {
  test(
    "that is stopped lets nothing new pass, cached or not, and netstack ends without it",
    async () => {
      await using guest = await openNamespaceGuest(world, { policy: "allow-all" });
      // Its verdicts about the same destinations are cached by now.
      expect((await guest.run(["python3", "-c", TRY])).stdout).toBe(ALL);
      process.kill(guest.deciderPid, "SIGSTOP");
      try {
        await new Promise((resolve) => setTimeout(resolve, 1000)); // what netstack knows is too old now
        await world.internet.reset();
        const { stdout } = await guest.run(["python3", "-c", TRY]);
        expect(stdout).toBe("");
        const seen = await world.internet.report();
        expect(contacts(seen, [PUBLIC_2, PUBLIC_6])).toEqual({});
        expect(seen.queries).toEqual([]);
        await until(
          "netstack's end",
          () => !existsSync(`/proc/${guest.netstackPid}/exe`) || zombie(guest.netstackPid),
        );
      } finally {
        process.kill(guest.deciderPid, "SIGCONT");
      }
    },
    60_000,
  );

  test("that works lets the same pass", async () => {
    await using guest = await openNamespaceGuest(world, { policy: "allow-all" });
    const { stdout } = await guest.run(["python3", "-c", TRY]);
    expect(stdout).toBe(ALL);
  });
});

/** Its parent is stopped, so that nobody takes note of its end. */
function zombie(pid: number): boolean {
  return !existsSync(`/proc/${pid}/fd/0`);
}
