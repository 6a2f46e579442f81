/**
 * Plain HTTP where rules go by names: one connection can ask for many hosts, and each request counts.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type NamespaceOptions, openNamespaceGuest } from "../support/namespace_guest.ts";
import { PUBLIC, PUBLIC_2, SHARED } from "../support/places.ts";
import { start, until } from "../support/process.ts";
import { resolve, say } from "../support/say.ts";
import { openWorld, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world?.[Symbol.asyncDispose]());
beforeEach(() => world.internet.reset());

const DENY = { outbound: "deny", inbound: "deny" } as const;

function guestUnder(rules: readonly string[], more: Partial<NamespaceOptions> = {}) {
  return openNamespaceGuest(world, { policy: "allow-all", denyWith: "reject", rules, ...more });
}

const API = "api.allowed.test";

/** A proxy that wants to know who asks. Names are not resolved out there: all are of one server. */
const PROXY = `
const http = require("node:http");
const net = require("node:net");
const known = (q) => q.headers["proxy-authorization"] === "Basic " + btoa("me:secret");
const proxy = http.createServer((q, r) => {
  if (!known(q)) return void r.writeHead(407, { "proxy-authenticate": "Basic" }).end();
  const { hostname, pathname } = new URL(q.url);
  http.get({ host: "${PUBLIC}", path: pathname, headers: { host: hostname } }, (answer) => {
    r.writeHead(answer.statusCode, answer.headers);
    answer.pipe(r);
  }).on("error", () => r.destroy());
});
proxy.on("connect", (q, socket) => {
  if (!known(q)) return void socket.end("HTTP/1.1 407 No\\r\\nProxy-Authenticate: Basic\\r\\n\\r\\n");
  const server = net.connect(q.url.split(":")[1], "${PUBLIC}", () => {
    socket.write("HTTP/1.1 200 OK\\r\\n\\r\\n");
    socket.pipe(server).pipe(socket);
  });
  for (const end of [socket, server]) end.on("error", () => socket.destroy());
});
proxy.listen(3128);
`;

describe("plain HTTP under rules about names", () => {
  const get = (host: string, path = "/") => `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`;

  test.each([
    ["an allow of one tenant", ["allow@good.cdn.test"], DENY],
    ["a deny of the other", ["deny@bad.cdn.test"], undefined],
  ])("under %s, every request is judged, not the first alone", async (_, rules, defaults) => {
    await using guest = await guestUnder(rules, defaults === undefined ? {} : { defaults });
    await resolve(guest, "good.cdn.test");
    const to = [SHARED, 80] as const;
    const [one, two, late, later] = await say(
      guest,
      { to, text: get("good.cdn.test"), all: true },
      { to, text: get("good.cdn.test") + get("bad.cdn.test") + get("good.cdn.test"), all: true },
      // After the server was dialled for a guest that said nothing.
      { to, text: get("good.cdn.test") + get("bad.cdn.test"), after: 4, all: true },
      { to: [SHARED, 8080], text: get("bad.cdn.test"), after: 4, all: true },
    );
    expect(one).toBe("200");
    expect(two).toBe("200 403");
    expect(late).toBe("200 403");
    expect(later).toMatch(/^(refused|reset)$/); // nobody listens there
    const { requests } = await world.internet.report();
    expect(requests.map(({ host }) => host)).toEqual(requests.map(() => "good.cdn.test"));
    const kept = guest.journal.filter(({ event }) => event === "request");
    expect(kept.filter(({ status }) => status === 200).length).toBe(3);
    expect(kept.filter(({ status }) => status === 403).length).toBe(2);
  });

  // A server answers what is written for a proxy as well (RFC 9112 3.2.2), and then what comes behind it.
  test.each<[string, Partial<NamespaceOptions>]>([
    ["a deny of a name", { rules: ["deny@bad.cdn.test"] }],
    ["a block list", { block: ["bad.cdn.test"] }],
  ])("under %s, requests written for a proxy hide none behind them", async (_, options) => {
    await using guest = await guestUnder([], options);
    await resolve(guest, "good.cdn.test");
    const to = [SHARED, 80] as const;
    const url = (host: string) => `GET http://${host}/ HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
    const tunnel = "CONNECT good.cdn.test:80 HTTP/1.1\r\nHost: good.cdn.test:80\r\n\r\n";
    const outcomes = await say(
      guest,
      { to, text: url("good.cdn.test") + url("other.test") + get("good.cdn.test"), all: true },
      { to, text: url("good.cdn.test") + get("bad.cdn.test"), all: true },
      { to, text: url("good.cdn.test") + url("bad.cdn.test"), all: true },
      { to, text: tunnel + get("bad.cdn.test"), cut: 20, all: true },
      { to, text: url("bad.cdn.test") },
      { to, text: tunnel.replaceAll("good", "bad") },
    );
    expect(outcomes).toEqual(["200 200 200", "200 403", "200 403", "404 403", "reset", "reset"]);
    const { requests } = await world.internet.report();
    expect(requests.filter(({ host }) => host.startsWith("bad"))).toEqual([]);
  });

  test("a proxy is used as ever: URLs, tunnels, and credentials for it", async () => {
    const script = join(world.scratch, "proxy.cjs");
    writeFileSync(script, PROXY);
    const proxy = start(world.outside(["node", script]), { limit: 300 });
    await using ending = new AsyncDisposableStack();
    ending.defer(() => void proxy.kill("SIGKILL"));
    await using guest = await guestUnder(["deny@bad.cdn.test"]);
    const curl = (...args: readonly string[]) => [
      ...["curl", "-sk", "-m", "60", "-x", `http://me:secret@${PUBLIC_2}:3128`],
      ...["-w", " %{http_code} %{http_connect}", ...args],
    ];
    const hello = curl(`http://${API}/`);
    await until("the proxy", async () => (await guest.run(hello)).stdout.endsWith("200 000"), 60);
    const outputs = [];
    const through = ["--connect-to", `::${API}:`];
    for (
      const args of [
        [`http://${API}/`],
        [`https://${API}/`],
        ["-p", `http://${API}/`],
        // The first of its connection is reset.
        ["http://bad.cdn.test/"],
        // Inside a tunnel for another name.
        [...through, "https://bad.cdn.test/"],
        ["-p", ...through, "http://bad.cdn.test/"],
      ]
    ) outputs.push((await guest.run(curl(...args))).stdout.replace(/^.*\n/, ""));
    expect(outputs).toEqual([
      ...[" 200 000", " 200 200", " 200 200"],
      ...[" 000 000", " 000 200", " 403 200"],
    ]);
    const { requests, names } = await world.internet.report();
    expect(new Set(requests.map(({ host }) => host))).toEqual(new Set([API]));
    expect(new Set(names.map(({ sni }) => sni))).toEqual(new Set([API]));
    const told = guest.journal.filter(({ event, reason }) =>
      event === "request" && reason === "rule"
    );
    expect(told.map(({ method, host, detail }) => [method, host, detail])).toEqual([
      ["CONNECT", API, "bad.cdn.test"],
      ["GET", "bad.cdn.test", undefined],
    ]);
    // What is allowed already is no hint.
    expect(guest.denials.join()).not.toContain("would allow it");
  }, 180_000);

  test("clients notice nothing: big bodies both ways, kept connections, slow servers", async () => {
    await using guest = await guestUnder(["allow@api.allowed.test:tcp:80"], { defaults: DENY });
    await resolve(guest, API);
    const size = 50_000_000;
    const { stdout } = await guest.run([
      "sh",
      "-c",
      `
curl -sS -m 60 http://${API}/bytes/${size} | sha256sum | cut -d' ' -f1
curl -sS -m 60 http://${API}/bytes/${size} | curl -sS -m 60 -T - http://${API}/sink
curl -sS -m 60 -w '%{num_connects} ' -o /dev/null http://${API}/ -o /dev/null http://${API}/`,
    ]);
    const [hash = "", sunk, connects] = stdout.split("\n");
    expect(sunk).toBe(`${size} ${hash}`);
    expect(connects).toBe("1 0 ");
  }, 120_000);
});
