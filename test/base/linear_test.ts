/**
 * Every reader of text that somebody else wrote does work in proportion to its length, whatever the
 * text. Each is given long runs of what grammars allow to repeat, between a beginning and an end that
 * keep it reading, and is compared with itself on an eighth of it.
 */
import { expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import { escapeText } from "../../lib/base/escape.ts";
import { canonicalName, nameFromWire } from "../../lib/base/name.ts";
import { nearest } from "../../lib/base/nearest.ts";
import { parseEnvFile } from "../../lib/cli/env_file.ts";
import { table } from "../../lib/cli/table.ts";
import { parsePublications } from "../../lib/cli/publications.ts";
import { parseDuration, parseMemory, parseMount } from "../../lib/cli/values.ts";
import { MessageReader, parseMessage } from "../../lib/flow/control_codec.ts";
import { FrameReader, MAX_PAYLOAD } from "../../lib/flow/mux_frame.ts";
import { mayBeEndpoint } from "../../lib/gate/endpoint_path.ts";
import { AGENT } from "../../lib/guest/agent/client.ts";
import { CallFrameReader, MAX_DATA } from "../../lib/wire/call_frame.ts";
import { SbxError } from "../../lib/base/errors.ts";
import { parseResult } from "../../lib/wire/call_result.ts";
import { parseAuthority } from "../../lib/http/authority.ts";
import { endToEnd, field, listOf, trim } from "../../lib/http/fields.ts";
import { bodyReader } from "../../lib/http/h1/body.ts";
import { persists, responseFraming } from "../../lib/http/h1/framing.ts";
import { parseRequestHead, parseResponseHead } from "../../lib/http/h1/head.ts";
import { HeadReader } from "../../lib/http/h1/head_reader.ts";
import { readRequest } from "../../lib/http/h1/request.ts";
import { acceptsWebsocket, websocketKey } from "../../lib/http/websocket.ts";
import { snapshotOf } from "../../lib/judge/snapshot.ts";
import { tunnelReader } from "../../lib/judge/tunnel.ts";
import { readExpectationLine } from "../../lib/policy/file/expectation.ts";
import { parsePolicyFile } from "../../lib/policy/file/load.ts";
import { readNameList } from "../../lib/policy/model/name_list.ts";
import { NameSet } from "../../lib/policy/model/name_set.ts";
import { allowAll } from "../../lib/policy/model/presets.ts";
import { isPlainPath } from "../../lib/policy/model/secret_scope.ts";
import { readServer } from "../../lib/policy/model/settings.ts";
import { formatTarget } from "../../lib/policy/model/target.ts";
import { quote } from "../../lib/policy/text/fault.ts";
import { parseFlow } from "../../lib/policy/text/flow_text.ts";
import { parseRule } from "../../lib/policy/text/grammar.ts";
import { certificatesIn } from "../../lib/tls/authority/pem.ts";
import { FrameCutter } from "../../lib/wire/frame_cutter.ts";
import { growth, SUBQUADRATIC } from "../support/growth.ts";

/** What stands before a run, and after it. */
type Place = readonly [before: string, after: string];

interface Reader {
  readonly read: (text: string) => unknown;
  readonly places: readonly Place[];
  /** Repeated beside {@link RUNS}. */
  readonly runs?: readonly string[];
}

/** What the patterns of parsers tend to repeat. */
const RUNS: readonly string[] = [" ", "\t", "\r", "\n", "\r\n", "a", "0", ".", ",", ":", ";", "/"]
  .concat([
    "[",
    "]",
    "{",
    "-",
    '"',
    "'",
    "\\",
    "#",
    "=",
    "\0",
    "\xe9",
    "a ",
    ", ",
    " ,",
    "a.",
    "::",
  ]);

const LIMITS = { headBytes: Infinity, headFields: Infinity };
const HTTP = { ...LIMITS, headMs: 1, idleMs: 1, silenceMs: 1, interim: 1, streams: 1 };
const GET = { method: "GET", target: "/", minor: 1 };
const OK = { status: 200, reason: "", minor: 1 };
const A_TEST = { scheme: "https", host: "a.test", port: 443 } as const;
const with1 = (name: string, value: string) => [field("Host", "a.test"), field(name, value)];

/** Places within a value whose ends are trimmed or matched. */
const INSIDE: readonly Place[] = [["", ""], ["a", ""], ["", "a"], ["a", "a"], ["a", "\0"]];

const READERS: Readonly<Record<string, Reader>> = {
  "the head of a request": {
    read: (text) => parseRequestHead(text, LIMITS),
    places: [
      ["", ""],
      ["GET ", ""],
      ["GET /", " HTTP/1.1"],
      ["GET / HTTP/1.1\r\nA:", ""],
      ["GET / HTTP/1.1\r\nA:", "\0"],
      ["GET / HTTP/1.1\r\nA: a", "a"],
      ["GET / HTTP/1.1", ""],
    ],
    runs: ["\r\na: b", "\r\na:", "a: b\r\n"],
  },
  "the head of a response": {
    read: (text) => parseResponseHead(text, LIMITS),
    places: [["", ""], ["HTTP/1.1 200 ", ""], ["HTTP/1.1 200 ", "\0"]],
  },
  "a list of members": { read: (text) => listOf(with1("a", text), "a"), places: INSIDE },
  "a nominated field": { read: (text) => endToEnd(with1("Connection", text)), places: INSIDE },
  "whether a connection persists": {
    read: (text) => persists({ ...OK, fields: with1("Connection", text) }),
    places: INSIDE,
  },
  "the length of a body": {
    read: (text) => responseFraming({ ...OK, fields: with1("Content-Length", text) }, "GET"),
    places: INSIDE,
  },
  "a request's fields": {
    read: (text) => readRequest({ ...GET, fields: with1("TE", text) }, A_TEST),
    places: INSIDE,
  },
  "a request's target": {
    read: (text) => readRequest({ ...GET, target: text, fields: with1("A", "") }, A_TEST),
    places: [["/", ""], ["/", "#"], ["http://", ""]],
  },
  "a proxied request's target": {
    read: (text) => {
      const head = { ...GET, target: text, fields: [field("Host", "a.test")] };
      return readRequest(head, { ...A_TEST, scheme: "http", proxy: true });
    },
    places: [["http://", ""], ["http://a.test/", "#"], ["", "://a.test/"], ["a", "#"]],
    runs: ["a+", "a/", "://"],
  },
  "what a tunnel begins with": {
    read: (text) => readTunnel(Buffer.from(text, "latin1")),
    places: [["", ""], ["GET /", ""], ["\x16\x03\x01\x40\x00\x01\x00\x7f\x00", ""], ["\x01", ""], [
      "foo\n",
      "",
    ]],
    runs: ["\x16\x03\x01\x00\x01a", "a\n", "Host\r"],
  },
  "an upgrade": {
    read: (text) => {
      const fields = [field("Upgrade", "websocket"), ...with1("Connection", text)];
      websocketKey({ ...GET, fields });
      acceptsWebsocket({ ...OK, fields }, "key");
    },
    places: INSIDE,
  },
  "an authority": {
    read: parseAuthority,
    places: [...INSIDE, ["[", "]"], ["[", "]:1"], ["a.test:", ""]],
  },
  "a chunked body": {
    read: (text) => bodyReader({ kind: "chunked" }, HTTP).read(Buffer.from(text, "latin1")),
    places: [["", ""], ["1", "\r\n"], ["1;", "\r\na"], ["0\r\n", ""], ["0\r\nA:", "\r\n\r\n"]],
    runs: ["1\r\na\r\n", "1;a\r\na\r\n"],
  },
  "a trimmed value": { read: trim, places: INSIDE },
  "text of a guest": { read: escapeText, places: INSIDE, runs: ["\u202e", "\ud800"] },
  "a name": { read: (text) => [canonicalName(text), nameFromWire(text)], places: INSIDE },
  "a mistyped word": { read: (text) => nearest(text, ["allow", "deny"]), places: INSIDE },
  "a message of netstack": { read: parseMessage, places: [["", ""], ['{"t":"', '"}']] },
  "the result of the agent": {
    read: (text) => parseResult(Buffer.from(text), () => new SbxError("PROTOCOL", "malformed")),
    places: [["", ""], ['{"error":{"code":"x","message":"', '"}}']],
  },
  "a rule": {
    read: parseRule,
    places: [...INSIDE, ["allow@", ""], ["allow@a.b:tcp:", ""], ["allow@[", "]"], [
      "deny@a.b:",
      ":1",
    ]],
    runs: ["1,", "tcp,", "@", "1-2,"],
  },
  "a flow": {
    read: parseFlow,
    places: [...INSIDE, ["tcp ", ":1"], ["tcp://", "/"], ["tcp [", ":1"]],
  },
  "an expectation": {
    read: readExpectationLine,
    places: [...INSIDE, ["allow ", ""], ["allow ", "\nx"]],
  },
  "a resolver": { read: readServer, places: [...INSIDE, ["[", "]:53"]] },
  "a policy file": {
    read: (text) => parsePolicyFile(text, "p.yaml"),
    places: [["", ""], ["default: ", ""], ['default: "', ""], ["default: [", "]"], ["- ", ""]],
    runs: ["\n- a", "[],", "? ", "&a ", "*a ", "a\n", "{a: b}, ", '"a" ', "!a "],
  },
  "a policy file in JSON": {
    read: (text) => parsePolicyFile(text, "p.json"),
    places: [["", ""], ['{"default": "', ""], ['{"default": [', "]}"], ["/*", ""]],
    runs: ["/**/", "{},", "1,", "\\u0061", "//\n"],
  },
  "a list of names": {
    read: (text) => readNameList(text, "l", "name", new NameSet()),
    places: [["", ""], ["a.b", "!"], ["0.0.0.0 ", ""], ["#", ""]],
    runs: ["a.b\n", "0.0.0.0 a.b c.d\n", "#\n", "\n#a "],
  },
  "an environment file": {
    read: (text) => parseEnvFile(text, "e", {}),
    places: [["", ""], ["A=", ""], ["A", "=b"]],
    runs: ["A=b\n", "#\n", " \n"],
  },
  "the path of a request with secrets": {
    read: (text) => {
      mayBeEndpoint(text, "/oauth/token");
      isPlainPath(`/${text}`);
    },
    places: [...INSIDE, ["/oauth/token", ""], ["/oauth/token.", "a"]],
    runs: ["%25", "%u002e", "%e0%80%af", "/..", ". ", ";"],
  },
  "a PEM file": {
    read: (text) => certificatesIn({ path: "c", text }),
    places: [["", ""], ["-----BEGIN CERTIFICATE-----\n", ""]],
    runs: ["-----BEGIN CERTIFICATE-----\n", "-----END CERTIFICATE-----\n", "A=\n"],
  },
  "values of options": {
    read: (text) => {
      for (const parse of [parseMemory, parsePublications, parseMount]) attempt(() => parse(text));
      attempt(() => parseDuration("--timeout", text));
    },
    places: [...INSIDE, ["1", "s"], ["1:", ":2"], ["/a:/", ":ro"]],
    runs: ["1s", "1.0"],
  },
  "a table of theirs": { read: (text) => table([[text, "b"]]), places: INSIDE, runs: ["\x1b["] },
  "a target": { read: (text) => formatTarget({ kind: "cidr", cidr: text }), places: INSIDE },
  "a text in a message": { read: quote, places: INSIDE },
};

/** As it comes in small pieces. */
function readTunnel(bytes: Buffer): void {
  const policy = snapshotOf(
    { policy: allowAll() },
    { addresses: [], links: [] },
    { namesOf: () => [], has: () => false },
  );
  const info = { proto: "tcp", dir: "outbound", src: "", sport: 1, dst: "", dport: 1 } as const;
  const reader = tunnelReader(() => policy, info, () => {});
  for (let at = 0; at < bytes.length; at += 64) {
    if (reader.push(bytes.subarray(at, at + 64)).kind === "refused") return;
  }
}

function attempt(read: () => unknown): void {
  try {
    read();
  } catch {
    // Refused.
  }
}

test.each(Object.entries(READERS))("%s", (_name, { read, places, runs = [] }) => {
  const dear = [];
  for (const [before, after] of places) {
    for (const run of [...RUNS, ...runs]) {
      const text = (size: number) => before + run.repeat(Math.ceil(size / run.length)) + after;
      const { ratio, size } = growth((size) => read(text(size)), { most: 1 << 16 });
      if (ratio > SUBQUADRATIC) dear.push({ before, run, after, size, ratio: Math.round(ratio) });
    }
  }
  expect(dear).toEqual([]);
}, 120_000);

/** Where much linear work goes with little that is not, which shows late. */
const CLOSE = 18;

/** Lines of a policy whose number is what grows. */
const MANY: Readonly<Record<string, readonly [head: string, line: (n: number) => string]>> = {
  "keys": ["", (n) => `key${n}: 1\n`],
  "keys of a flow mapping": ["{", (n) => `key${n}: 1,\n`],
  "rules that are none": ["default: deny\nrules:\n", () => "- {x: 1}\n"],
  "anchors and aliases": ["", (n) => `- &a${n} 1\n- *a${n}\n`],
};

test.each(Object.entries(MANY))("a policy file of many %s", (_name, [head, line]) => {
  const text = (lines: number) => head + Array.from({ length: lines }, (_, n) => line(n)).join("");
  const { ratio } = growth((lines) => parsePolicyFile(text(lines), "p.yaml"), {
    most: 1 << 15,
    enough: 2_000_000,
    limit: CLOSE,
  });
  expect(ratio).toBeLessThan(CLOSE);
}, 120_000);

/** Frames of the largest size each reader takes, in pieces of one byte. */
test.each<[string, number, () => (piece: Buffer) => unknown, (size: number) => number[]]>([
  ["control messages", 1 << 18, () => {
    const reader = new MessageReader();
    return (piece) => [...reader.push(piece)];
  }, (size) => [0, size >> 16, size >> 8 & 255, size & 255]],
  ["frames of the flows channel", MAX_PAYLOAD, () => {
    const reader = new FrameReader();
    return (piece) => [...reader.push(piece)];
  }, (size) => [2, size >> 16, size >> 8 & 255, size & 255, 0, 0, 0, 1]],
  ["frames of the agent", MAX_DATA, () => {
    const reader = new CallFrameReader(AGENT);
    return (piece) => [...reader.push(piece)];
  }, (size) => [3, size >> 16, size >> 8 & 255, size & 255, 0, 0, 1, 1]],
  ["heads", 1 << 18, () => {
    const reader = new HeadReader(1 << 20, true);
    return (piece) => reader.push(piece);
  }, () => []],
  ["frames", 1 << 20, () => {
    const cutter = new FrameCutter(
      4,
      (bytes) => 4 + new DataView(bytes.buffer, bytes.byteOffset).getUint32(0),
    );
    return (piece) => [...cutter.push(piece)];
  }, (size) => [0, size >> 16, size >> 8 & 255, size & 255]],
])("%s, byte by byte", (_name, most, reader, head) => {
  const { ratio } = growth(
    (size) => {
      const push = reader();
      const bytes = Buffer.concat([Buffer.from(head(size)), Buffer.alloc(size, 0x61)]);
      for (let at = 0; at < bytes.length; at++) push(bytes.subarray(at, at + 1));
    },
    { most, enough: 200_000, limit: CLOSE },
  );
  expect(ratio).toBeLessThan(CLOSE);
}, 120_000);
