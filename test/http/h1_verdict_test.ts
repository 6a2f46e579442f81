/** What becomes of requests of HTTP/1 while their gate takes time to decide, and when it resets one. */
import { describe, expect, test } from "bun:test";
import { PASS, type Verdict } from "../../lib/http/gate.ts";
import { type Conversation, converse, head } from "./conversation.ts";
import { settle } from "./h2_peer.ts";

const HOST = "Host: api.allowed.test";
const GET = head("GET / HTTP/1.1", HOST);
const OK = head("HTTP/1.1 200 OK", "Content-Length: 2") + "hi";
const REFUSAL = { reason: "rule", detail: "rule 4" } as const;

describe("a verdict that takes its time", () => {
  /** A gate whose verdicts the test gives. */
  function slowly() {
    const asked: { target: string; decide: (verdict: Verdict) => void; fail: () => void }[] = [];
    const conversation = converse({
      gate: ({ target }) => {
        const { promise, resolve, reject } = Promise.withResolvers<Verdict>();
        asked.push({ target, decide: resolve, fail: () => reject(new Error("no source")) });
        return promise;
      },
    });
    return { ...conversation, asked };
  }

  test("holds up the requests behind it, which come in their order", async () => {
    const { guest, server, asked, exchanges } = slowly();
    const request = (path: string) =>
      head(`POST ${path} HTTP/1.1`, HOST, "Content-Length: 3") + path.repeat(3).slice(0, 3);
    guest.say(request("/1") + request("/2"));
    await settle();
    guest.say(request("/3"));
    await settle();
    expect([server.heard, asked.map(({ target }) => target)]).toEqual(["", ["/1"]]);
    for (const index of [0, 1, 2]) {
      asked[index]?.decide(PASS);
      await server.hears(request(`/${index + 1}`));
      await settle();
      expect(asked.length).toBe(index + 1);
      server.say(OK);
      await settle();
    }
    expect(server.heard).toBe(request("/1") + request("/2") + request("/3"));
    expect(exchanges.map(({ status }) => status)).toEqual([200, 200, 200]);
  });

  test("comes for a guest that has said all it had to say", async () => {
    const { guest, server, asked, closed } = slowly();
    guest.say(GET);
    guest.stream.end();
    await settle();
    asked[0]?.decide(PASS);
    expect(await server.hears("\r\n\r\n")).toBe(GET);
    server.say(OK);
    expect(await guest.over()).toBe(OK);
    await closed;
  });

  test("that fails resets the connection, and nothing passes", async () => {
    const { guest, server, asked, exchanges, closed } = slowly();
    guest.say(GET);
    await settle();
    asked[0]?.fail();
    expect(await guest.over()).toBe("");
    expect([guest.stream.errored !== null, await server.over()]).toEqual([true, ""]);
    await closed;
    expect(exchanges).toEqual([{
      request: { method: "GET", host: "api.allowed.test", path: "/" },
      up: 0,
      down: 0,
      ms: expect.any(Number),
    }]);
  });

  test.each<[who: string, leave: (conversation: Conversation) => void]>([
    ["the guest", ({ guest }) => void guest.stream.destroy()],
    ["the server", ({ server }) => void server.stream.end()],
    ["the server, in the middle of nothing", ({ server }) => server.say("HTTP/1.1 200 OK\r\n")],
  ])("comes too late when %s has left", async (_who, leave) => {
    const conversation = slowly();
    const { guest, server, asked, exchanges } = conversation;
    guest.say(GET);
    await settle();
    leave(conversation);
    await settle();
    asked[0]?.decide(PASS);
    await settle();
    expect([server.heard, guest.heard]).toEqual(["", ""]);
    expect(exchanges.length).toBe(1);
  });
});

test("a request that is reset is so behind the answers before it", async () => {
  const { guest, server, exchanges, ends } = converse({
    gate: ({ target }) => target === "/3" ? { kind: "reset", refusal: REFUSAL } : PASS,
  });
  const request = (path: string) => head(`GET ${path} HTTP/1.1`, HOST);
  guest.say(request("/1") + request("/2") + request("/3") + request("/4"));
  await server.hears(request("/1"));
  server.say(OK);
  await server.hears(request("/2"));
  server.say(OK);
  expect(await guest.over()).toBe(OK + OK);
  expect(guest.stream.errored).not.toBeNull();
  expect(await server.over()).toBe(request("/1") + request("/2"));
  expect(exchanges.map(({ status, refused }) => status ?? refused)).toEqual([200, 200, REFUSAL]);
  expect(ends).toEqual(["reset-guest"]);
});
