/** The states of a stream, held to the text of RFC 9113 5.1 and 6, line by line. */
import { describe, expect, test } from "bun:test";
import { Code, H2Error } from "../../lib/http/h2/frame.ts";
import {
  receive,
  send,
  type StreamFrame,
  type StreamState,
} from "../../lib/http/h2/stream_state.ts";
import { StreamTable } from "../../lib/http/h2/stream_table.ts";

/** `state`: what it becomes. `-`: discarded. `S` and `C`: an error of the stream, of the connection. */
type Word = StreamState | "-" | "S STREAM_CLOSED" | "C STREAM_CLOSED" | "C PROTOCOL_ERROR";

const CODES = { STREAM_CLOSED: Code.StreamClosed, PROTOCOL_ERROR: Code.Protocol };

function word(state: StreamState, frame: StreamFrame, end: boolean): Word {
  const effect = receive(state, frame, end);
  if (effect.kind === "take") return effect.state;
  if (effect.kind === "discard") return "-";
  const name = Object.entries(CODES).find(([, code]) => code === effect.code)?.[0];
  return `${effect.of === "stream" ? "S" : "C"} ${name}` as Word;
}

const SC = "S STREAM_CLOSED";
const CC = "C STREAM_CLOSED";
const CP = "C PROTOCOL_ERROR";
const LOCAL = "half-closed (local)";
const REMOTE = "half-closed (remote)";

describe("RFC 9113 5.1: what a peer's frame means", () => {
  // DATA, with END_STREAM, HEADERS, with END_STREAM, RST_STREAM, WINDOW_UPDATE
  test.each<[StreamState, words: Word[]]>([
    // "Receiving any frame other than HEADERS or PRIORITY on a stream in this state MUST be treated as a
    // connection error of type PROTOCOL_ERROR."
    ["idle", [CP, CP, "open", REMOTE, CP, CP]],
    ["open", ["open", REMOTE, "open", REMOTE, "reset received", "open"]],
    [LOCAL, [LOCAL, "closed", LOCAL, "closed", "reset received", LOCAL]],
    // "If an endpoint receives additional frames, other than WINDOW_UPDATE, PRIORITY, or RST_STREAM, for
    // a stream that is in this state, it MUST respond with a stream error of type STREAM_CLOSED."
    [REMOTE, [SC, SC, SC, SC, "reset received", REMOTE]],
    // "might receive a WINDOW_UPDATE or RST_STREAM frame from its peer in the time before the peer
    // receives and processes the frame that closed the stream"; others: a connection error.
    ["closed", [CC, CC, CC, CC, "-", "-"]],
    ["reset received", [SC, SC, SC, SC, "-", "-"]],
    // "An endpoint that sends a RST_STREAM frame ... could receive any type of frame ... MUST minimally
    // process and then discard."
    ["reset sent", ["-", "-", "-", "-", "-", "-"]],
    ["forgotten", ["-", "-", "-", "-", "-", "-"]],
    // 5.1.1: "An endpoint that receives an unexpected stream identifier MUST respond with a connection
    // error of type PROTOCOL_ERROR."
    ["passed over", [CP, CP, CP, CP, CP, CP]],
  ])("%s", (state, words) => {
    expect([
      word(state, "DATA", false),
      word(state, "DATA", true),
      word(state, "HEADERS", false),
      word(state, "HEADERS", true),
      word(state, "RST_STREAM", false),
      word(state, "WINDOW_UPDATE", false),
    ]).toEqual(words);
    // 6.3: "The PRIORITY frame can be sent on a stream in any state".
    expect(word(state, "PRIORITY", false)).toBe("-");
    // END_STREAM is no flag of these: the bit means nothing.
    expect(word(state, "RST_STREAM", true)).toBe(word(state, "RST_STREAM", false));
    expect(word(state, "WINDOW_UPDATE", true)).toBe(word(state, "WINDOW_UPDATE", false));
  });
});

describe("RFC 9113 5.1: what we may send", () => {
  test.each<[StreamState, states: (StreamState | null)[]]>([
    ["idle", [null, null, "open", LOCAL, null, null]],
    ["open", ["open", LOCAL, "open", LOCAL, "reset sent", "open"]],
    [LOCAL, [null, null, null, null, "reset sent", LOCAL]],
    [REMOTE, [REMOTE, "closed", REMOTE, "closed", "reset sent", REMOTE]],
    ["closed", [null, null, null, null, null, null]],
    ["reset received", [null, null, null, null, null, null]],
    ["reset sent", [null, null, null, null, null, null]],
    ["passed over", [null, null, null, null, null, null]],
    ["forgotten", [null, null, null, null, null, null]],
  ])("%s", (state, states) => {
    expect([
      send(state, "DATA", false),
      send(state, "DATA", true),
      send(state, "HEADERS", false),
      send(state, "HEADERS", true),
      send(state, "RST_STREAM", false),
      send(state, "WINDOW_UPDATE", false),
    ]).toEqual(states);
  });
});

describe("the streams of a connection", () => {
  test("are idle above the last one, and passed over below it (5.1.1)", () => {
    const table = new StreamTable("-");
    table.set(5, "open", "");
    expect([1, 3, 5, 7].map((id) => table.stateOf(id))).toEqual([
      "passed over",
      "passed over",
      "open",
      "idle",
    ]);
    expect(() => table.stateOf(2)).toThrow(H2Error);
    expect([table.size, table.last, table.next]).toEqual([1, 5, 7]);
  });

  test("are remembered for how they were closed, and not for ever", () => {
    const table = new StreamTable("-");
    table.set(1, "open", "");
    table.set(3, "closed", "");
    table.set(5, "reset sent", "");
    expect([1, 3, 5].map((id) => table.stateOf(id))).toEqual(["open", "closed", "reset sent"]);
    for (let id = 7; id < 7 + 2 * 10_000; id += 2) table.set(id, "closed", "");
    expect([1, 3, 5, 20_005].map((id) => table.stateOf(id))).toEqual([
      "open",
      "forgotten",
      "forgotten",
      "closed",
    ]);
    table.set(1, "closed", "");
    expect(table.size).toBe(0);
  });
});
