/** What is never dialled unless a verdict names it; netstack is held to the same file. */
import { expect, test } from "bun:test";
import type { AddressInfo, Server, Socket } from "node:net";
import { createServer } from "node:net";
import { endOfDial } from "../../lib/flow/dial.ts";
import { dialUpstream } from "../../lib/flow/dial_upstream.ts";
import { explicitDial, GUARDED_BLOCKS, isGuarded } from "../../lib/judge/dial.ts";
import type { FlowInfo } from "../../lib/judge/flow_info.ts";
import { ManualClock } from "../support/manual_clock.ts";
import { until } from "../support/process.ts";
import shared from "../vectors/guarded.json" with { type: "json" };

test("the blocks are those of netstack", () => {
  expect([...GUARDED_BLOCKS].sort()).toEqual([...shared.blocks].sort());
  expect(shared.guarded.filter((text) => !isGuarded(text))).toEqual([]);
  expect(shared.open.filter(isGuarded)).toEqual([]);
});

function info(dst: string, dport: number, more: Partial<FlowInfo> = {}): FlowInfo {
  return { proto: "tcp", dir: "outbound", src: "192.168.127.2", sport: 4000, dst, dport, ...more };
}

test("an address is named in the verdict when the guard would stop it, the gateway as what it stands for", () => {
  const place = {
    gateways: new Set(["192.168.127.1", "fd73:6278::1"]),
    hosts: new Set(["192.168.127.1", "fd73:6278::1", "151.101.9.2"]),
  };
  const named = (dst: string, more?: Partial<FlowInfo>) => explicitDial(place, info(dst, 80, more));
  expect(named("93.184.216.34")).toBe(null);
  expect(named("93.184.216.34", { own: true })).toBe("93.184.216.34:80");
  expect(named("151.101.9.2")).toBe("151.101.9.2:80");
  expect(named("192.168.127.1")).toBe("127.0.0.1:80");
  expect(named("fd73:6278::1")).toBe("[::1]:80");
  expect(named("169.254.169.254")).toBe("169.254.169.254:80");
});

async function listening(): Promise<{ server: Server; port: number; met: Socket[] }> {
  const met: Socket[] = [];
  const server = createServer((socket) => void met.push(socket.on("error", () => {})));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { server, port: (server.address() as AddressInfo).port, met };
}

const allowed = { action: "redirect", reason: "default" } as const;

test("what the guard would stop is not dialled for a guest by sbx either", async () => {
  const { server, port, met } = await listening();
  const { signal } = new AbortController();
  const flows: [FlowInfo, dial?: string][] = [
    [info("127.0.0.1", port)],
    [info("0.0.0.0", port)],
    [info("::ffff:127.0.0.1", port)],
    [info("10.0.0.1", port, { own: true })],
  ];
  for (const [each] of flows) {
    const dialled = await dialUpstream({ flow: { info: each, ruling: allowed }, signal });
    expect([each.dst, dialled]).toEqual([each.dst, { kind: "failed", code: "EGUARD" }]);
  }
  expect(endOfDial("EGUARD")).toBe("guard");
  expect(met).toEqual([]);
  const ruling = { ...allowed, dial: `127.0.0.1:${port}` };
  const dialled = await dialUpstream({
    flow: { info: info("192.168.127.1", port), ruling },
    signal,
  });
  expect(dialled).toMatchObject({ kind: "open", at: `127.0.0.1:${port}` });
  if (dialled.kind === "open") dialled.socket.destroy();
  server.close();
});

test("a dial ends when its guest leaves, when nobody answers in time, and with the system's reason", async () => {
  const { server, port } = await listening();
  server.close();
  const { signal } = new AbortController();
  const to = (address: string) => ({
    info: info("192.168.127.1", port),
    ruling: { ...allowed, dial: address },
  });
  expect(await dialUpstream({ flow: to(`127.0.0.1:${port}`), signal }))
    .toEqual({ kind: "failed", code: "ECONNREFUSED" });
  const left = AbortSignal.abort();
  expect(await dialUpstream({ flow: to(`127.0.0.1:${port}`), signal: left }))
    .toEqual({ kind: "failed", code: "ECANCELED" });
  const full = await listening();
  const clock = new ManualClock();
  const gone = new AbortController();
  const waiting = dialUpstream({ flow: to(`127.0.0.1:${full.port}`), signal: gone.signal, clock });
  gone.abort();
  expect(await waiting).toEqual({ kind: "failed", code: "ECANCELED" });
  const late = dialUpstream({ flow: to(`127.0.0.1:${full.port}`), signal, clock });
  await clock.pass(15_000);
  expect(await late).toEqual({ kind: "failed", code: "ETIMEDOUT" });
  full.server.close();
});

test("an idle server is asked now and then whether it is still there", async () => {
  const { server, port } = await listening();
  const ruling = { ...allowed, dial: `127.0.0.1:${port}` };
  const { signal } = new AbortController();
  const dialled = await dialUpstream({
    flow: { info: info("192.168.127.1", port), ruling },
    signal,
  });
  const timers = () => Bun.spawnSync(["ss", "-tno", "dport", "=", String(port)]).stdout.toString();
  await until("a keep-alive timer", () => timers().includes("timer:(keepalive"));
  if (dialled.kind === "open") dialled.socket.destroy();
  server.close();
});
