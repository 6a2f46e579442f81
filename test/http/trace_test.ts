/** What a trace tells of relayed HTTP: the states by their names, and nothing of what was said. */
import { afterEach, expect, test } from "bun:test";
import { traceTo } from "../../lib/base/trace.ts";
import { converse, head } from "./conversation.ts";
import { converse as converseH2, GET } from "./h2_conversation.ts";
import { settle } from "./h2_peer.ts";

afterEach(() => traceTo(() => {}, []));

test("an HTTP/1 exchange goes through the states of its relay", async () => {
  const lines: string[] = [];
  traceTo((line) => lines.push(line), ["http"]);
  const { guest, server, closed } = converse({ id: 12 });
  guest.say("POST /s3cret HTTP/1.1\r\n");
  await settle();
  guest.say(head("Host: api.allowed.test", "Content-Length: 1"));
  await server.hears("\r\n\r\n");
  guest.say("x");
  await server.hears("\r\n\r\nx");
  server.say(head("HTTP/1.1 200 OK", "Content-Length: 0"));
  await guest.hears("\r\n\r\n");
  guest.stream.end();
  await closed;
  expect(lines).toEqual([
    "trace http 12 idle → reading (head begins)",
    "trace http 12 reading → judging (head ends)",
    "trace http 12 judging → sending (request passes)",
    "trace http 12 sending → answering (request ends)",
    "trace http 12 answering → idle (answer ends)",
    "trace http 12 idle → closing (relay closes)",
  ]);
});

test("an HTTP/2 stream goes through RFC 9113's, on either side", async () => {
  const lines: string[] = [];
  traceTo((line) => lines.push(line), ["http"]);
  const { guest, server } = await converseH2({ id: 12 });
  guest.headers(1, { ...GET, "x-key": "s3cret" });
  await server.hears("headers");
  server.headers(1, { ":status": "204" });
  await guest.hears("headers");
  await settle();
  expect(lines).toEqual([
    "trace http 12/guest/1 idle → half-closed (remote) (HEADERS received)",
    "trace http 12/server/1 idle → half-closed (local) (HEADERS sent)",
    "trace http 12/server/1 half-closed (local) → closed (HEADERS received)",
    "trace http 12/guest/1 half-closed (remote) → closed (HEADERS sent)",
  ]);
});
