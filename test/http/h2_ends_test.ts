/**
 * How HTTP/2 streams and connections end, whoever ends them and however slow their recipient is: what
 * was received before is delivered, and what is less than was sent never ends as if it were whole.
 */
import { describe, expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import { Code, frameHeader, FrameType, Setting } from "../../lib/http/h2/frame.ts";
import { ManualClock } from "../support/manual_clock.ts";
import { random } from "../support/random.ts";
import { converse, GET, type H2Conversation, POST } from "./h2_conversation.ts";
import { type H2Peer, settle } from "./h2_peer.ts";

const MAX = 0x7fffffff;
const OK = { ":status": "200" };

/** Letters that say where they stand. */
function letters(stream: number, length: number): string {
  return Buffer.alloc(length, Buffer.from("abcdefghijklmnopqrstuvwxyz0123456".slice(stream % 7)))
    .toString();
}

interface Received {
  readonly text: string;
  /** END_STREAM, a reset's code, or neither. */
  readonly end: "whole" | number | null;
}

function received(peer: H2Peer, stream: number): Received {
  let text = "";
  let end: Received["end"] = null;
  for (const one of peer.on(stream)) {
    if (one.type === "data") text += one.text;
    if ((one.type === "data" || one.type === "headers") && one.end) end = "whole";
    if (one.type === "reset") end ??= one.code;
  }
  return { text, end };
}

/** Gives credit in small pieces until the peer has what it is owed, or the connection is over. */
async function readOn(peer: H2Peer, streams: readonly number[], piece = 20_000): Promise<void> {
  const over = () => peer.heard.some(({ type }) => type === "end");
  for (let turn = 0; turn < 200 && !over(); turn++) {
    const open = streams.filter((stream) => received(peer, stream).end === null);
    if (open.length === 0) break;
    if (peer.stream.writable) {
      peer.credit(0, piece * streams.length);
      for (const stream of open) peer.credit(stream, piece);
    }
    await settle();
  }
  await settle();
}

const LENGTH = 300_000;

type Act = (server: H2Peer) => void;
const closes: Act = ({ stream }) => void stream.end();
const says = (...acts: Act[]): Act => (server) => acts.forEach((act) => act(server));
const goaway = (last: number, code = 0): Act => (server) => server.goaway(last, code);
/** Settings of a stream. */
const breaks: Act = (server) => server.raw(frameHeader(FrameType.Settings, 0, 1, 0));
const resets = (code: number): Act => (server) => server.reset(1, code);

describe("an answer of which the guest takes little at a time", () => {
  test.each<[what: string, request: "whole" | "open", whole: boolean, act: Act, end: unknown]>([
    ["its server closes", "whole", true, closes, "whole"],
    ["its server closes", "open", true, closes, "whole"],
    ["its server says farewell", "whole", true, goaway(1), "whole"],
    ["its server says farewell and closes", "whole", true, says(goaway(1), closes), "whole"],
    [
      "its server announces its farewell and closes",
      "whole",
      true,
      says(goaway(MAX), goaway(1), closes),
      "whole",
    ],
    ["its server gives up with an error", "whole", true, says(goaway(1, 2), closes), "whole"],
    ["its server claims not to have taken it", "open", true, says(goaway(0), closes), "whole"],
    ["its server asks for no more", "open", true, resets(Code.None), "whole"],
    ["its server asks for no more, and closes", "open", true, says(resets(0), closes), "whole"],
    ["its server gives the rest of the request up", "open", true, resets(Code.Cancel), "whole"],
    [
      "its server breaks the rules after it",
      "whole",
      true,
      breaks,
      "whole",
    ],
    ["its server closes in the middle", "whole", false, closes, Code.Internal],
    ["its server closes in the middle", "open", false, closes, Code.Internal],
    [
      "its server says farewell in the middle",
      "whole",
      false,
      says(goaway(1), closes),
      Code.Internal,
    ],
    ["its server gives it up", "whole", false, resets(Code.Cancel), Code.Cancel],
    ["its server gives it up without an error", "whole", false, resets(Code.None), Code.Internal],
    ["its server gives it up without an error", "open", false, resets(Code.None), Code.Internal],
    ["its server gives it up, and closes", "whole", false, says(resets(8), closes), Code.Cancel],
    [
      "its server breaks the rules in the middle",
      "whole",
      false,
      breaks,
      Code.Internal,
    ],
  ])(
    "when %s (request %s, answer whole: %p): all that was received is delivered",
    async (_what, request, whole, act, end) => {
      const { guest, server, exchanges, ends } = await converse();
      guest.headers(1, request === "whole" ? GET : POST, request === "whole");
      await server.hears("headers");
      server.headers(1, OK, false);
      server.data(1, letters(1, LENGTH), whole);
      act(server);
      await guest.hears("data");
      await settle();
      await readOn(guest, [1]);
      const { text, end: ended } = received(guest, 1);
      expect(text.length).toBe(LENGTH);
      expect(text).toBe(letters(1, LENGTH));
      expect(ended).toBe(end as Received["end"]);
      if (request === "open") {
        expect(guest.on(1).at(-1)).toMatchObject({ type: "reset" }); // it is told to stop
      }
      guest.stream.end();
      await settle();
      expect(exchanges).toMatchObject([{ status: 200, down: LENGTH }]);
      expect(ends.length).toBe(1);
    },
  );

  test("is told as cut, in the journal, when its server left in the middle of it", async () => {
    const { guest, server, exchanges, ends, closed } = await converse();
    guest.headers(1, GET);
    await server.hears("headers");
    server.headers(1, OK, false);
    server.data(1, letters(1, LENGTH));
    server.stream.end();
    await readOn(guest, [1]);
    guest.stream.end();
    await closed;
    expect(exchanges).toMatchObject([{ status: 200, refused: { reason: "upstream-closed" } }]);
    expect(ends).toEqual(["reset-upstream"]);
  });

  test("keeps its trailers", async () => {
    const { guest, server } = await converse();
    guest.headers(1, GET);
    await server.hears("headers");
    server.headers(1, OK, false);
    server.data(1, letters(1, LENGTH));
    server.headers(1, { "grpc-status": "0" });
    server.goaway(1, Code.None);
    server.stream.end();
    await readOn(guest, [1]);
    expect(received(guest, 1).text.length).toBe(LENGTH);
    expect(guest.on(1).at(-1)).toMatchObject({ fields: { "grpc-status": "0" }, end: true });
  });

  test("is not mixed up with a request that the guest begins after its server left", async () => {
    const clock = new ManualClock();
    const { guest, server } = await converse({ clock });
    guest.headers(1, GET);
    await server.hears("headers");
    server.headers(1, OK, false);
    server.data(1, letters(1, LENGTH), true);
    server.stream.end();
    await guest.hears("goaway");
    guest.headers(3, GET);
    expect(await guest.hears("reset")).toMatchObject({ stream: 3, code: Code.RefusedStream });
    await readOn(guest, [1]);
    expect(received(guest, 1)).toMatchObject({ end: "whole" });
    // Whoever sent it on cannot know when a slow guest has read it: that one closes, within minutes.
    await clock.pass(299_000);
    expect(guest.heard.some(({ type }) => type === "end")).toBe(false);
    await clock.pass(1_001);
    await guest.hears("end");
  });
});

describe("a request of which the server takes little at a time", () => {
  test.each<[what: string, whole: boolean, act: (guest: H2Peer) => void]>([
    ["is given up in the middle", false, (guest) => guest.reset(1, Code.Cancel)],
    ["is given up in the middle without an error", false, (guest) => guest.reset(1, Code.None)],
    ["is given up when it is whole", true, (guest) => guest.reset(1, Code.None)],
    ["loses its guest", false, (guest) => void guest.stream.destroy()],
    ["loses its guest in order", false, (guest) => void guest.stream.end()],
    ["loses its guest when it is whole", true, (guest) => void guest.stream.destroy()],
  ])("never ends as whole when it %s", async (_what, whole, act) => {
    const { guest, server } = await converse();
    guest.headers(1, POST, false);
    await server.hears("headers");
    guest.data(1, letters(1, LENGTH), whole);
    await settle();
    act(guest);
    await readOn(server, [1]);
    const { text, end } = received(server, 1);
    expect(letters(1, LENGTH).startsWith(text)).toBe(true);
    expect(end === "whole" && text.length < LENGTH).toBe(false);
    expect(end).not.toBe(Code.None); // which some servers take for an end in order
  });

  test("is whole when its guest says farewell to new ones", async () => {
    const { guest, server } = await converse();
    guest.headers(1, POST, false);
    await server.hears("headers");
    guest.data(1, letters(1, LENGTH), true);
    guest.goaway(0, Code.None);
    await readOn(server, [1]);
    expect(received(server, 1)).toEqual({ text: letters(1, LENGTH), end: "whole" });
    server.headers(1, { ":status": "204" });
    await guest.hears("headers");
    await guest.hears("end");
  });
});

/** One stream of a random conversation, as its two ends mean it. */
interface Script {
  readonly stream: number;
  readonly up: string;
  readonly down: string;
  readonly upEnds: boolean;
  readonly downEnds: boolean;
}

/** Sends a body in random pieces, now and then letting time pass. */
async function send(
  peer: H2Peer,
  { below, pick }: ReturnType<typeof random>,
  stream: number,
  body: string,
): Promise<void> {
  for (let at = 0; at < body.length;) {
    const to = at + 1 + below(pick([10, 5_000, 60_000]));
    peer.data(stream, body.slice(at, to));
    at = to;
    if (below(4) === 0) await settle();
  }
}

async function play(seed: number): Promise<void> {
  const rng = random(seed);
  const { below, pick } = rng;
  const window = pick([0, 1, 1_000, 65_535, 200_000]);
  const conversation: H2Conversation = await converse({}, [[
    Setting.InitialWindowSize,
    pick([0, 500, 65_535, 200_000]),
  ]]);
  const { guest, server } = conversation;
  guest.raw(
    Buffer.from([0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, ...[24, 16, 8, 0].map((n) => window >> n & 255)]),
  );
  await settle();
  const scripts: Script[] = Array.from({ length: 1 + below(5) }, (_, index) => ({
    stream: 1 + 2 * index,
    up: letters(index, below(pick([1, 3_000, 200_000]))),
    down: letters(index + 3, below(pick([1, 3_000, 400_000]))),
    upEnds: below(4) > 0,
    downEnds: below(4) > 0,
  }));
  for (const { stream } of scripts) guest.headers(stream, POST, false);
  await server.hears("headers", ({ stream }) => stream === scripts.at(-1)?.stream);
  const requests = scripts.map(async ({ stream, up, upEnds }) => {
    await send(guest, rng, stream, up);
    if (upEnds) guest.data(stream, "", true);
    else if (below(2) === 0) guest.reset(stream, pick([Code.None, Code.Cancel]));
  });
  const answers = scripts.map(async ({ stream, down, downEnds }) => {
    server.headers(stream, OK, false);
    await send(server, rng, stream, down);
    if (downEnds && below(3) === 0) server.headers(stream, { "x-trailer": "1" });
    else if (downEnds) server.data(stream, "", true);
    if (below(3) === 0) server.reset(stream, pick([Code.None, Code.None, Code.Cancel]));
  });
  const reading = (async () => {
    for (let turn = 0; turn < 30; turn++) {
      guest.credit(0, 1 + below(30_000));
      guest.credit(pick(scripts).stream, 1 + below(30_000));
      if (server.stream.writable) {
        server.credit(0, 1 + below(30_000));
        server.credit(pick(scripts).stream, 1 + below(30_000));
      }
      await settle();
    }
  })();
  await Promise.all([...requests, ...answers]);
  const last = scripts.at(-1)?.stream ?? 0;
  const how = pick(["stay", "close", "goaway", "goaway and close", "reset"] as const);
  if (how.startsWith("goaway")) server.goaway(pick([last, MAX]), pick([Code.None, Code.Internal]));
  if (how.endsWith("close")) server.stream.end();
  if (how === "reset") server.stream.destroy();
  await reading;
  const all = scripts.map(({ stream }) => stream);
  await Promise.all([readOn(guest, all, 200_000), readOn(server, all, 200_000)]);
  for (const { stream, up, down, upEnds, downEnds } of scripts) {
    const said = `seed ${seed}, stream ${stream}, ${how}`;
    const answer = received(guest, stream);
    expect(down.startsWith(answer.text), said).toBe(true);
    if (answer.end === "whole") expect(downEnds && answer.text === down, said).toBe(true);
    else expect(answer.end, said).not.toBe(Code.None);
    // The guest that stays gets everything, however its server left, but for what the network lost.
    if (downEnds && how !== "reset" && upEnds) {
      expect([answer.end, answer.text.length], said).toEqual(["whole", down.length]);
    }
    const request = received(server, stream);
    expect(up.startsWith(request.text), said).toBe(true);
    if (request.end === "whole") expect(upEnds && request.text === up, said).toBe(true);
    else expect(request.end, said).not.toBe(Code.None);
  }
  guest.stream.destroy();
  await conversation.closed;
}

test(
  "in 150 random conversations nothing is invented, nothing is lost, and no cut is an end",
  async () => {
    for (let seed = 1; seed <= 150; seed++) await play(seed);
  },
  120_000,
);
