/**
 * HTTP/2 answers whose server leaves right behind them, with the servers and clients that people use: Node's server, and
 * curl and Node as slow clients.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { selfSigned } from "../runtime/certificate.ts";
import { type NamespaceGuest, openNamespaceGuest } from "../support/namespace_guest.ts";
import { type Running, start, until } from "../support/process.ts";
import { openWorld, type World } from "../support/world.ts";

const BODY = 2_600_000;

/** Answers at once, without reading the request; what it does then, the path says. */
const SERVER = `
const http2 = require("node:http2");
const body = Buffer.alloc(${BODY}, "0123456789abcdef");
const own = JSON.parse(process.argv[2]);
const server = http2.createSecureServer({ key: own.key, cert: own.cert });
server.on("stream", (stream, head) => {
  stream.on("error", () => {});
  stream.session.on("error", () => {});
  stream.respond({ ":status": 200 });
  const path = head[":path"];
  if (path === "/half-reset" || path === "/half-destroy") {
    stream.write(body.subarray(0, ${BODY} / 2), () => {
      if (path === "/half-destroy") stream.session.destroy();
      else stream.destroy(new Error("half is enough"));
    });
    return;
  }
  stream.end(body);
  if (path === "/close") stream.session.close();
  if (path === "/goaway") stream.session.goaway(0);
});
server.listen(9443, () => console.log("ready"));
`;

/** Reads a piece at a time; prints what it had of the answer, and how that ended. */
const CLIENT = `
const http2 = require("node:http2");
const [url, path, method, window] = process.argv.slice(2);
const session = http2.connect(url, {
  rejectUnauthorized: false,
  settings: { initialWindowSize: Number(window) },
});
session.on("error", () => {});
const stream = session.request({ ":method": method, ":path": path }, { endStream: method === "GET" });
if (method === "POST") stream.write(Buffer.alloc(300_000));
let bytes = 0;
let ended = false;
let failed = false;
const over = () => {
  console.log(bytes, ended && !failed ? "whole" : "cut");
  process.exit();
};
stream.on("data", (part) => {
  bytes += part.length;
  stream.pause();
  setTimeout(() => stream.resume(), 1);
});
stream.on("end", () => {
  ended = true;
  setTimeout(over, 50);
});
stream.on("error", () => failed = true);
stream.on("close", over);
`;

let world: World;
let guest: NamespaceGuest;
let server: Running;
let client: string;
beforeAll(async () => {
  world = await openWorld();
  const script = join(world.scratch, "server.cjs");
  writeFileSync(script, SERVER);
  client = join(world.scratch, "client.cjs");
  writeFileSync(client, CLIENT);
  server = start(world.outside(["node", script, JSON.stringify(selfSigned())]));
  guest = await openNamespaceGuest(world, {
    policy: "allow-all",
    rules: ["allow@good.cdn.test"],
    tls: { ports: [443, 9443], verifyUpstream: false },
  });
  const reachable = ["curl", "-sk", "-m", "20", "-o", "/dev/null", "https://good.cdn.test:9443/"];
  await until("Node's server", async () => (await guest.run(reachable)).status === 0, 60);
});
afterAll(async () => {
  server?.kill("SIGKILL");
  await guest?.[Symbol.asyncDispose]();
  await world?.[Symbol.asyncDispose]();
});

describe.each(["/", "/close", "/goaway"])("an answer from %s is whole", (path) => {
  test.each<[method: string, window: number]>([
    ["GET", 1_000],
    ["GET", 65_535],
    ["GET", 4_000_000],
    ["POST", 65_535],
    ["POST", 4_000_000],
  ])("for Node with %s and a window of %i", async (method, window) => {
    const argv = ["node", client, "https://good.cdn.test:9443", path, method, String(window)];
    expect((await guest.run(argv, { limit: 120 })).stdout).toBe(`${BODY} whole\n`);
  }, 150_000);

  test("for curl that takes its time", async () => {
    const { stdout, status } = await guest.run([
      ...["curl", "-sk", "-m", "100", "--limit-rate", "2M", "-o", "/dev/null"],
      ...["-w", "%{http_version} %{size_download}", `https://good.cdn.test:9443${path}`],
    ], { limit: 120 });
    expect([stdout, status]).toEqual([`2 ${BODY}`, 0]);
  }, 150_000);
});

test.each(["/half-reset", "/half-destroy"])(
  "an answer from %s is cut, and nothing more is missing than its server kept",
  async (path) => {
    for (const window of [65_535, 4_000_000]) {
      const argv = ["node", client, "https://good.cdn.test:9443", path, "GET", String(window)];
      const { stdout } = await guest.run(argv, { limit: 120 });
      expect(stdout).toEndWith(" cut\n");
      expect(parseInt(stdout)).toBeLessThanOrEqual(BODY / 2);
    }
    const { status } = await guest.run([
      ...["curl", "-sk", "-m", "100", "-o", "/dev/null", `https://good.cdn.test:9443${path}`],
    ]);
    expect(status).not.toBe(0);
  },
  150_000,
);
