import { describe, expect, test } from "bun:test";
import { HTTP_LIMITS } from "../../lib/http/exchange.ts";
import { H1Exchange } from "../../lib/http/h1/exchange.ts";
import { parseRequestHead } from "../../lib/http/h1/head.ts";
import { type H1Event, type H1State, next, underway } from "../../lib/http/h1/relay_state.ts";
import { readRequest } from "../../lib/http/h1/request.ts";

function request(...fields: readonly string[]) {
  const lines = ["POST / HTTP/1.1", "Host: a.test", ...fields];
  const head = parseRequestHead(lines.join("\r\n"), HTTP_LIMITS);
  return readRequest(head, { scheme: "https", host: "a.test", port: 443 });
}

const bodyless = request();
const withBody = request("Content-Length: 3");

function exchangeOf(read: typeof bodyless): H1Exchange {
  const passed = {
    request: read.request,
    body: undefined,
    whole: false,
    late: undefined,
    answer: undefined,
  };
  return new H1Exchange({ request: read, passed, limits: HTTP_LIMITS, since: 0 });
}

const exchange = exchangeOf(bodyless);

const STATES: Readonly<Record<H1State["name"], H1State>> = {
  "idle": { name: "idle", served: false },
  "reading": { name: "reading", served: false },
  "judging": { name: "judging", served: false, request: bodyless, since: 0 },
  "sending": { name: "sending", served: false, exchange },
  "answering": { name: "answering", served: false, exchange },
  "half-closed": { name: "half-closed", served: false, exchange },
  "answered": { name: "answered", served: false, exchange },
  "tunnel": { name: "tunnel", served: false, exchange },
  "closing": { name: "closing" },
};

const EVENTS: Readonly<Record<string, H1Event>> = {
  "head begins": { kind: "head begins" },
  "head vanishes": { kind: "head vanishes" },
  "head ends": { kind: "head ends", request: bodyless, since: 1 },
  "request without a body passes": { kind: "request passes", exchange },
  "request with a body passes": { kind: "request passes", exchange: exchangeOf(withBody) },
  "request ends": { kind: "request ends" },
  "guest ends": { kind: "guest ends" },
  "answer ends": { kind: "answer ends" },
  "protocol switches": { kind: "protocol switches" },
  "relay closes": { kind: "relay closes" },
};

/** Where an event leads; from every other state it leads nowhere. */
const LEADS: Readonly<Record<string, Partial<Record<H1State["name"], H1State["name"]>>>> = {
  "head begins": { idle: "reading", reading: "reading" },
  "head vanishes": { idle: "idle", reading: "idle" },
  "head ends": { idle: "judging", reading: "judging" },
  "request without a body passes": { judging: "answering" },
  "request with a body passes": { judging: "sending" },
  "request ends": { sending: "answering", answered: "idle" },
  "guest ends": { answering: "half-closed" },
  "answer ends": {
    "sending": "answered",
    "answering": "idle",
    "half-closed": "idle",
  },
  "protocol switches": { "answering": "tunnel", "half-closed": "tunnel" },
};

describe.each(Object.values(STATES))("an HTTP/1 relay that is $name", (state) => {
  test.each(Object.entries(EVENTS))("when: %s", (what, event) => {
    const to = what === "relay closes" ? "closing" : LEADS[what]?.[state.name];
    const after = next(state, event);
    expect(after.name).toBe(to ?? state.name);
    if (to === undefined) expect(after).toBe(state);
  });
});

test("a connection on which an answer ended has served", () => {
  const after = next(STATES.answering, { kind: "answer ends" });
  expect(after).toEqual({ name: "idle", served: true });
});

test("a request is under way from its being sent on to its end", () => {
  const names = Object.values(STATES).filter((state) => underway(state) !== null);
  expect(names.map(({ name }) => name)).toEqual([
    "sending",
    "answering",
    "half-closed",
    "answered",
    "tunnel",
  ]);
});
