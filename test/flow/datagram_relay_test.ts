/** Datagrams of a guest that sbx relays: real sockets on loopback, which the verdict names. */
import { afterEach, expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import { createSocket, type Socket } from "node:dgram";
import { relayDatagrams } from "../../lib/flow/datagram_relay.ts";
import type { DatagramFlow } from "../../lib/flow/mux.ts";
import type { FlowInfo } from "../../lib/judge/flow_info.ts";
import type { Ruling } from "../../lib/judge/ruling.ts";
import { until } from "../support/process.ts";

const open: Socket[] = [];
afterEach(() => {
  for (const socket of open.splice(0)) socket.close();
});

async function server(type: "udp4" | "udp6" = "udp4", address = "127.0.0.1") {
  const heard: string[] = [];
  const peers: number[] = [];
  const socket = createSocket(type);
  open.push(socket);
  socket.on("message", (bytes, { port }) => {
    heard.push(bytes.length > 99 ? `${bytes.length} bytes` : bytes.toString());
    peers.push(port);
    socket.send(bytes, port, address);
  });
  await new Promise<void>((resolve) => socket.bind(0, address, resolve));
  return { heard, peers, socket, port: socket.address().port };
}

/** A relayed flow to an address; `dial` as in a verdict. */
function relayed(dst: string, dport: number, dial?: string, more: Partial<FlowInfo> = {}) {
  const seen = {
    answers: [] as string[],
    dialled: [] as string[],
    ends: [] as string[],
    refused: 0,
  };
  let ended = 0;
  let congested = false;
  const datagrams: DatagramFlow = {
    get congested() {
      return congested;
    },
    send: (bytes) => {
      seen.answers.push(
        bytes.length > 99 ? `${bytes.length} bytes` : Buffer.from(bytes).toString(),
      );
    },
    refuse: () => void seen.refused++,
    end: () => void ended++,
    onDatagram: () => {},
    onClose: () => {},
  };
  const info: FlowInfo = {
    proto: "udp",
    dir: "outbound",
    src: "192.168.127.2",
    sport: 4000,
    dst,
    dport,
    ...more,
  };
  const ruling: Ruling = {
    action: "redirect",
    reason: "default",
    ...(dial === undefined ? {} : { dial }),
  };
  relayDatagrams({
    datagrams,
    flow: { info, ruling },
    admit: (bytes) => !Buffer.from(bytes).includes("KEY"),
    onDialled: (at) => void seen.dialled.push(at),
    onEnd: (end) => void seen.ends.push(end),
  });
  const say = (...words: readonly string[]) => {
    for (const word of words) {
      const bytes = Buffer.from(word);
      datagrams.onDatagram(bytes);
      bytes.fill(0); // they are the channel's
    }
  };
  return {
    seen,
    say,
    close: () => datagrams.onClose(),
    ended: () => ended,
    crowd: (full: boolean) => void (congested = full),
  };
}

test.each(
  [
    ["udp4", "127.0.0.1", (port: number) => `127.0.0.1:${port}`],
    ["udp6", "::1", (port: number) => `[::1]:${port}`],
  ] as const,
)("pass both ways over %s, the first ones too, whole and in order", async (type, at, dial) => {
  const { heard, port } = await server(type, at);
  const flow = relayed(at, port, dial(port));
  flow.say("a", "", "b");
  await until("an answer", () => flow.seen.answers.length === 3);
  flow.say("c".repeat(60_000), "d");
  await until("answers", () => flow.seen.answers.length === 5);
  expect(heard).toEqual(["a", "", "b", "60000 bytes", "d"]);
  expect(flow.seen.answers).toEqual(heard);
  expect([flow.seen.dialled, flow.seen.ends]).toEqual([[dial(port)], []]);
  flow.close();
});

test("after one that may not pass none does, not even of those that waited before it", async () => {
  const { heard, port } = await server();
  const at = `127.0.0.1:${port}`;
  const early = relayed("127.0.0.1", port, at);
  early.say("waits for its socket", "KEY", "after");
  const late = relayed("127.0.0.1", port, at);
  late.say("one");
  await until("an answer", () => late.seen.answers.length === 1);
  late.say("KEY", "after");
  const neighbour = relayed("127.0.0.1", port, at);
  neighbour.say("neighbour");
  await until("an answer", () => neighbour.seen.answers.length === 1);
  expect(heard).toEqual(["one", "neighbour"]);
  // Blocked flows stay, so that the next datagram of theirs is not a new flow's; netstack ends them.
  expect([early.ended(), late.ended()]).toEqual([0, 0]);
});

test("what is never dialled is not, unless the verdict names it", async () => {
  const { heard, port } = await server();
  const other = await server();
  const flows = [
    relayed("127.0.0.1", port),
    relayed("169.254.169.254", 80),
    relayed("192.0.2.1", 7, undefined, { own: true }),
  ];
  for (const flow of flows) flow.say("x", "y");
  for (const { seen, ended } of flows) expect([seen.ends, ended()]).toEqual([["guard"], 1]);
  const named = relayed("127.0.0.1", other.port, `127.0.0.1:${other.port}`);
  named.say("x");
  await until("an answer", () => named.seen.answers.length === 1);
  expect(heard).toEqual([]);
});

test("a closed port is told of each time, and ends the flow when nothing ever comes back", async () => {
  const { socket, port } = await server();
  open.splice(open.indexOf(socket), 1);
  await new Promise<void>((resolve) => socket.close(() => resolve()));
  const flow = relayed("127.0.0.1", port, `127.0.0.1:${port}`);
  for (let told = 1; told <= 4; told++) {
    flow.say("x");
    await until("a refusal", () => flow.seen.refused === told);
  }
  expect([flow.seen.ends, flow.ended()]).toEqual([["refused"], 1]);
  flow.say("x");
  flow.close();
  expect(flow.ended()).toBe(1);
});

test("strangers are not heard, and what netstack has no room for is lost, as on any network", async () => {
  const { peers, socket, heard, port } = await server();
  const stranger = await server();
  const flow = relayed("127.0.0.1", port, `127.0.0.1:${port}`);
  flow.say("a");
  await until("an answer", () => flow.seen.answers.length === 1);
  const to = peers[0] ?? 0;
  await new Promise((resolve) => stranger.socket.send("forged", to, "127.0.0.1", resolve));
  flow.crowd(true);
  flow.say("b");
  await until("it arrived", () => heard.length === 2);
  await new Promise((resolve) => socket.send("lost", to, "127.0.0.1", resolve));
  flow.say("c".repeat(70_000)); // larger than any datagram
  await new Promise((resolve) => setTimeout(resolve, 20));
  flow.crowd(false);
  flow.say("d");
  await until("an answer", () => flow.seen.answers.length === 2);
  expect([flow.seen.answers, heard]).toEqual([["a", "d"], ["a", "b", "d"]]);
});

test("what waits for a socket is bounded, and a flow that ends meanwhile sends nothing", async () => {
  const { heard, port } = await server();
  const at = `127.0.0.1:${port}`;
  const flow = relayed("127.0.0.1", port, at);
  flow.say(...Array.from({ length: 100 }, (_, n) => `${n}`));
  const gone = relayed("127.0.0.1", port, at);
  gone.say("gone");
  gone.close();
  await until("answers", () => flow.seen.answers.length === 8);
  expect(heard).toEqual(["0", "1", "2", "3", "4", "5", "6", "7"]);
});
