/**
 * A connection that is spoken to as a proxy: each request is judged by whom it names, however it names it, and goes
 * on as it was written. A server that is none answers such requests as well, so that nothing hides behind the first.
 */
import { describe, expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import type { RelaySpec } from "../../lib/http/relay.ts";
import { HTTP_LIMITS } from "../../lib/http/exchange.ts";
import { judging } from "../../lib/http/gate.ts";
import { allowAll } from "../../lib/policy/model/presets.ts";
import { parseRule } from "../../lib/policy/text/grammar.ts";
import { firstBytes } from "../../lib/judge/first_bytes.ts";
import { snapshotOf } from "../../lib/judge/snapshot.ts";
import { tunnelReader } from "../../lib/judge/tunnel.ts";
import { ManualClock } from "../support/manual_clock.ts";
import { retryRequest, serverHello } from "../support/tls_answers.ts";
import { converse, head } from "./conversation.ts";
import { settle } from "./h2_peer.ts";

/** A policy that allows by default. */
function compiled(...rules: readonly string[]) {
  const policy = { ...allowAll(), rules: rules.map(parseRule) };
  return snapshotOf({ policy }, { addresses: [], links: [] }, {
    namesOf: () => [],
    has: () => false,
  });
}

const TO_PROXY = {
  proto: "tcp",
  dir: "outbound",
  src: "10.213.0.2",
  sport: 40_000,
  dst: "93.184.216.35",
  dport: 3128,
} as const;

const OK = head("HTTP/1.1 200 OK", "Content-Length: 2") + "hi";
const FIRST = head("GET http://good.test/1?a=b HTTP/1.1", "Host: good.test");

/** A relay to a proxy under a policy that denies what is below evil.test. */
function proxied(spec: Partial<RelaySpec> = {}) {
  const judged: string[] = [];
  const conversation = converse({
    destination: { scheme: "http", host: null, port: 3128, proxy: true },
    gate: judging(({ method, host, path }) => {
      judged.push(`${method} ${host} ${path}`);
      return host.endsWith("evil.test") ? { reason: "rule" } : null;
    }),
    ...spec,
  });
  return { ...conversation, asked: judged };
}

describe("a request to a proxy", () => {
  test.each<[string, string, string, string]>([
    [
      "with a URL",
      FIRST,
      "GET http://good.test/1?a=b HTTP/1.1\r\nHost: good.test\r\n\r\n",
      "GET good.test /1",
    ],
    [
      "with a port, a scheme of its own and credentials for the proxy",
      head(
        "GET ftp://Good.test:2121/x HTTP/1.1",
        "Host: Good.test",
        "Proxy-Authorization: Basic eA==",
        "Proxy-Connection: keep-alive",
      ),
      "GET ftp://Good.test:2121/x HTTP/1.1\r\nHost: Good.test:2121\r\n" +
      "Proxy-Authorization: Basic eA==\r\n\r\n",
      "GET good.test /x",
    ],
    [
      "with a URL without a path, of HTTP/1.0",
      head("GET http://good.test HTTP/1.0"),
      "GET http://good.test HTTP/1.0\r\nHost: good.test\r\nConnection: close\r\n\r\n",
      "GET good.test /",
    ],
    [
      "with an address",
      head("GET http://[2001:DB8::1]:80/ HTTP/1.1", "Host: [2001:db8::1]"),
      "GET http://[2001:DB8::1]:80/ HTTP/1.1\r\nHost: [2001:DB8::1]:80\r\n\r\n",
      "GET 2001:db8::1 /",
    ],
    [
      "that is for a server after all",
      head("GET /2 HTTP/1.1", "Host: good.test:80"),
      "GET /2 HTTP/1.1\r\nHost: good.test:80\r\n\r\n",
      "GET good.test /2",
    ],
  ])("%s goes on as it is", async (_, request, sent, line) => {
    const { guest, server, asked } = proxied();
    guest.say(request);
    expect(await server.hears("\r\n\r\n")).toBe(sent);
    server.say(OK);
    await guest.hears("hi");
    expect(asked).toEqual([line]);
  });

  test.each<[string, string]>([
    ["for a server, behind a URL", head("GET / HTTP/1.1", "Host: evil.test")],
    ["with another URL", head("GET http://evil.test/ HTTP/1.1", "Host: evil.test")],
    ["for a tunnel", head("CONNECT evil.test:443 HTTP/1.1", "Host: evil.test:443")],
    ["of HTTP/1.0 without Host", head("GET http://x.evil.test/ HTTP/1.0")],
  ])("that is denied gets nowhere: %s", async (_, request) => {
    const { guest, server, exchanges } = proxied();
    guest.say(FIRST + request);
    await server.hears("\r\n\r\n");
    server.say(OK);
    expect(await guest.over()).toContain("HTTP/1.1 403");
    await server.over();
    expect(server.heard).not.toContain("evil");
    expect(exchanges.map(({ status }) => status)).toEqual([200, 403]);
  });

  test.each<[string, string, number]>([
    ["two names", head("GET http://good.test/ HTTP/1.1", "Host: evil.test"), 400],
    ["two names of a tunnel", head("CONNECT good.test:443 HTTP/1.1", "Host: evil.test"), 400],
    [
      "two hosts",
      head("GET http://good.test/ HTTP/1.1", "Host: good.test", "Host: evil.test"),
      400,
    ],
    [
      "a user in the name",
      head("GET http://good.test@evil.test/ HTTP/1.1", "Host: good.test"),
      400,
    ],
    ["a backslash in the name", head("GET http://evil.test\\.good.test/ HTTP/1.1", "Host: x"), 400],
    ["a fragment", head("GET http://good.test/#x HTTP/1.1", "Host: good.test"), 400],
    ["no name", head("GET http:///x HTTP/1.1", "Host: good.test"), 400],
    ["a URL without its slashes", head("GET http:good.test/ HTTP/1.1", "Host: good.test"), 400],
    ["a tunnel to a path", head("CONNECT /x HTTP/1.1", "Host: good.test"), 405],
    ["a tunnel in small letters", head("connect good.test:443 HTTP/1.1", "Host: good.test"), 405],
    [
      "a tunnel with a body",
      head("CONNECT good.test:443 HTTP/1.1", "Content-Length: 3") + "x",
      400,
    ],
    ["TRACE", head("TRACE http://good.test/ HTTP/1.1", "Host: good.test"), 405],
  ])("that could be read in two ways is refused: %s", async (_, request, status) => {
    const { guest, server, asked } = proxied();
    guest.say(request);
    expect(await guest.over()).toStartWith(`HTTP/1.1 ${status}`);
    await server.over();
    expect([server.heard, asked]).toEqual(["", []]);
  });
});

describe("a tunnel", () => {
  const CONNECT = head("CONNECT good.test:443 HTTP/1.1", "Host: good.test:443");

  test.each([1, 7, 1000])(
    "carries anything once the proxy agreed, in pieces of %d",
    async (size) => {
      const { guest, server, closed, exchanges, ends } = proxied();
      for (let at = 0; at < CONNECT.length; at += size) guest.say(CONNECT.slice(at, at + size));
      expect(await server.hears("\r\n\r\n")).toBe(CONNECT);
      server.say(head("HTTP/1.1 200 Connection established", "Content-Length: 5", "Via: x"));
      expect(await guest.hears("\r\n\r\n")).toBe(
        head("HTTP/1.1 200 Connection established", "Via: x"),
      );
      const bytes = "\x16\x03\x01 GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n";
      guest.say(bytes);
      await server.hears(bytes);
      server.say("\0\xff and back");
      await guest.hears("and back");
      guest.stream.end();
      await server.over();
      server.say("a last word");
      server.stream.end();
      expect(await guest.over()).toEndWith("a last word");
      await closed;
      expect(ends).toEqual(["eof"]);
      expect(exchanges).toMatchObject([
        {
          request: { method: "CONNECT", host: "good.test", path: "" },
          status: 200,
          up: bytes.length,
        },
      ]);
    },
  );

  test.each([
    ["HTTP/1.1 405 Method Not Allowed", 405],
    ["HTTP/1.1 407 Proxy Authentication Required", 407],
    ["HTTP/1.1 302 Found", 302],
  ])("that is not granted leaves a connection of requests: %s", async (line, status) => {
    const { guest, server, asked, exchanges } = proxied();
    // What comes with it waits for the proxy's word, and is a request then.
    guest.say(CONNECT + head("GET /secret HTTP/1.1", "Host: evil.test"));
    await server.hears("\r\n\r\n");
    server.say(head(line, "Proxy-Authenticate: Basic", "Content-Length: 2") + "no");
    const heard = await guest.over();
    expect(heard).toContain("Proxy-Authenticate: Basic");
    expect(heard).toContain("HTTP/1.1 403");
    expect(server.heard).toBe(CONNECT);
    expect(asked).toEqual(["CONNECT good.test ", "GET evil.test /secret"]);
    expect(exchanges.map((one) => one.status)).toEqual([status, 403]);
  });

  test("may be asked for again with credentials", async () => {
    const { guest, server } = proxied();
    guest.say(CONNECT);
    await server.hears("\r\n\r\n");
    server.say(head("HTTP/1.1 407 x", "Proxy-Authenticate: Basic", "Content-Length: 0"));
    await guest.hears("\r\n\r\n");
    guest.say(head("CONNECT good.test:443 HTTP/1.1", "Proxy-Authorization: Basic eA=="));
    await server.hears("Basic eA==");
    server.say(head("HTTP/1.0 200 OK"));
    await guest.hears("200 OK");
    server.say("greeting");
    await guest.hears("greeting");
  });

  test("is none on a connection to servers", async () => {
    const { guest, server } = converse({
      destination: { scheme: "http", host: null, port: 80 },
    });
    guest.say(CONNECT);
    expect(await guest.over()).toStartWith("HTTP/1.1 405");
    await server.over();
    expect(server.heard).toBe("");
  });
});

describe("in a tunnel", () => {
  const HELLO = (name: string) => firstBytes({ kind: "tls", sni: name });
  const GET = (host: string) => head("GET / HTTP/1.1", `Host: ${host}`);
  const reading = () => {
    const policy = compiled("deny@evil.test", "deny@x.evil.test");
    return proxied({ tunnel: () => tunnelReader(() => policy, TO_PROXY, () => {}) });
  };

  async function granted(body = "") {
    const conversation = reading();
    conversation.guest.say(head("CONNECT good.test:443 HTTP/1.1"));
    await conversation.server.hears("\r\n\r\n");
    // As a server that is no proxy answers, which goes on to read requests.
    const length = body === "" ? [] : [`Content-Length: ${body.length}`];
    conversation.server.say(head("HTTP/1.1 200 OK", ...length) + body);
    await conversation.guest.hears(`\r\n\r\n${body}`);
    return { ...conversation, before: conversation.server.heard.length };
  }

  const text = (bytes: Uint8Array | string) => Buffer.from(bytes as string, "latin1");
  const OTHERS = ["SSH-2.0-x\r\n", "\x00\x01MQTT", "EHLO mail.test\r\n", "*2\r\n$3\r\nGET\r\n"];

  test.each<[string, Uint8Array | string]>([
    ["TLS for another name", HELLO("good.test")],
    ["TLS without a name", firstBytes({ kind: "tls" })],
    ...OTHERS.map((other): [string, string] => [JSON.stringify(other), other]),
  ])("%s passes, in one piece and in many", async (_, bytes) => {
    for (const body of ["", "hello"]) {
      for (const size of [1, 5, 10_000]) {
        const { guest, server, before } = await granted(body);
        const said = text(bytes);
        for (let at = 0; at < said.length; at += size) guest.say(said.subarray(at, at + size));
        await server.hears(said.toString("latin1"));
        server.say(said[0] === 22 ? Buffer.concat([serverHello(), text("answer")]) : "answer");
        await guest.hears("answer");
        guest.say(GET("evil.test")); // of no server of HTTP any more
        await server.hears("evil.test");
        expect(server.heard.slice(before)).toBe(said.toString("latin1") + GET("evil.test"));
        guest.stream.destroy();
      }
    }
  });

  test.each<[string, Uint8Array | string, string]>([
    ["TLS for a denied name", HELLO("evil.test"), "rule"],
    ["TLS that names nobody for sure", "\x16\x03\x01\x00\x01\x02", "sni-invalid"],
    ["a record before a hello", "\x14\x03\x03\x00\x01\x01", "sni-invalid"],
    ["HTTP/2 without TLS", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "sni-invalid"],
    ["a request that two servers read in two ways", ` ${GET("evil.test")}`, "sni-invalid"],
    ["a request behind what no client says", `\x01${GET("evil.test")}`, "sni-invalid"],
    ["an endless request", "GET / HTTP/1.1\r\nX: " + "y".repeat(40_000), "sni-invalid"],
  ])("%s gets no further, in one piece and in many", async (_, bytes, reason) => {
    for (const body of ["", "hello"]) {
      for (const size of [7, 50_000]) {
        const { guest, server, before, exchanges, closed } = await granted(body);
        const said = text(bytes);
        for (let at = 0; at < said.length; at += size) guest.say(said.subarray(at, at + size));
        await closed;
        await server.over();
        // Bytes that no server could act on may be there; what would have made a request of them is not.
        expect(server.heard.slice(before)).not.toContain("test");
        expect(exchanges).toMatchObject([{ status: 200, refused: { reason } }]);
      }
    }
  });

  test.each([1, 9, 1_000])("requests are judged one by one, in pieces of %d", async (size) => {
    const { guest, server, asked, exchanges } = await granted("hello");
    const said = GET("good.test") + GET("evil.test");
    for (let at = 0; at < said.length; at += size) guest.say(said.slice(at, at + size));
    await server.hears(GET("good.test"));
    server.say(OK);
    expect(await guest.over()).toContain("HTTP/1.1 403");
    await server.over();
    expect(server.heard).not.toContain("evil");
    expect(asked.slice(1)).toEqual(["GET good.test /", "GET evil.test /"]);
    expect(exchanges.map((one) => one.status)).toEqual([200, 200, 403]);
  });

  // Who answers CONNECT and sends content is no proxy, and reads on for requests.
  test.each([
    ["a length", ["Content-Length: 5"], "hello", ""],
    ["a length, and comes late", ["Content-Length: 5"], "he", "llo"],
    ["chunks", ["Transfer-Encoding: chunked"], "5\r\nhello\r\n0\r\n\r\n", ""],
    ["chunks, and comes late", ["Transfer-Encoding: chunked"], "5\r\nhello", "\r\n0\r\n\r\n"],
  ])("content that has %s is no greeting", async (_, fields, content, late) => {
    const { guest, server, closed, exchanges } = reading();
    guest.say(head("CONNECT good.test:80 HTTP/1.1") + "GET /x\r\n");
    await server.hears("\r\n\r\n");
    server.say(head("HTTP/1.1 200 OK", ...fields) + content);
    await server.hears("GET /x\r\n");
    if (late !== "") server.say(late);
    await guest.hears(content + late);
    guest.say("Host: evil.test\r\n\r\n");
    await closed;
    await server.over();
    expect(server.heard).not.toContain("evil");
    expect(exchanges).toMatchObject([{ status: 200, refused: { reason: "sni-invalid" } }]);
  });

  test.each([["the same", "good.test"], ["another", "evil.test"]])(
    "a second hello that its server asks for, for %s name, is judged",
    async (_, name) => {
      const { guest, server, before, closed, exchanges } = await granted();
      const change = Buffer.of(20, 3, 3, 0, 1, 1);
      guest.say(Buffer.concat([text(HELLO("good.test")), change]));
      await server.hears("good.test");
      server.say(retryRequest());
      guest.say(text(HELLO(name)));
      if (name === "good.test") {
        await server.hears(`\x14\x03\x03\x00\x01\x01${text(HELLO(name)).toString("latin1")}`);
        return void guest.stream.destroy();
      }
      await closed;
      await server.over();
      expect(server.heard.slice(before)).toBe(text(HELLO("good.test")).toString("latin1"));
      expect(exchanges).toMatchObject([{ status: 200, refused: { reason: "sni-invalid" } }]);
    },
  );

  test("what is not whole when its guest ends, or in time, gets nowhere", async () => {
    for (const late of [false, true]) {
      const clock = new ManualClock();
      const policy = compiled();
      const { guest, server, closed } = proxied({
        clock,
        tunnel: () => tunnelReader(() => policy, TO_PROXY, () => {}),
      });
      guest.say(head("CONNECT good.test:443 HTTP/1.1"));
      const before = (await server.hears("\r\n\r\n")).length;
      server.say(head("HTTP/1.1 200 OK"));
      await guest.hears("200 OK");
      guest.say("GET / HT");
      await settle(); // until it was read
      if (late) await clock.pass(HTTP_LIMITS.headMs);
      else guest.stream.end();
      await closed;
      await server.over();
      expect(server.heard.slice(before)).toBe("");
    }
  });
});

test("all that a guest says is looked at, what is inside a tunnel as well", async () => {
  for (const early of [true, false]) {
    const { guest, server, closed, ends } = proxied({
      admit: (bytes) => !new TextDecoder("latin1").decode(bytes).includes("SECRET"),
    });
    guest.say(head("CONNECT good.test:443 HTTP/1.1"));
    await server.hears("\r\n\r\n");
    if (!early) {
      server.say(head("HTTP/1.1 200 OK"));
      await guest.hears("200 OK");
    }
    guest.say("a SECRET");
    await closed;
    await server.over();
    expect([server.heard.includes("SECRET"), ends]).toEqual([false, ["reset-guest"]]);
  }
});
