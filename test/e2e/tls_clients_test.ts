/**
 * The usual clients in a real guest, through the compiled binary, with their TLS intercepted: all of them trust
 * sbx's authority by themselves, and all of them get what the server sent.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { copyFileSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Batch, inGuest } from "../support/batch.ts";
import { buildGo } from "../support/build.ts";
import { SHARED } from "../support/places.ts";
import type { Report } from "../support/recorder.ts";
import { publish, type Registry } from "../support/registry.ts";
import { openWorld, type World } from "../support/world.ts";

const ORIGIN = "https://good.cdn.test";

let world: World;
let registry: Registry;
let batch: Batch<string>;
let seen: Report;
let journal: readonly Record<string, unknown>[];

beforeAll(async () => {
  world = await openWorld();
  registry = publish(world.files, `${ORIGIN}/files`);
  const tools = join(world.scratch, "tools");
  mkdirSync(tools);
  copyFileSync(buildGo("webclient"), join(tools, "webclient"));
  const log = join(world.scratch, "journal");
  const options = ["--tls-intercept", "--upstream-ca", world.ca, "--log", log, "-m", "2048"];
  batch = await inGuest(
    world,
    [...options, "-v", `${tools}:/tools:ro`],
    {
      curl1: `curl -sS --http1.1 ${ORIGIN}/`,
      curl2: `curl -sS ${ORIGIN}/`,
      upload: `head -c 3000000 /dev/zero | curl -sS -T - ${ORIGIN}/sink`,
      python:
        `python3 -c 'import urllib.request as u; print(u.urlopen("${ORIGIN}/").read().decode(), end="")'`,
      pip:
        `PIP_ROOT_USER_ACTION=ignore pip3 install -q --disable-pip-version-check --no-deps --target /tmp/wheel --index-url ${ORIGIN}/files/simple/ greet &&
         PYTHONPATH=/tmp/wheel python3 -c 'import greet; print(greet.text)'`,
      requests:
        `python3 -c 'from pip._vendor import requests as r; print(r.get("${ORIGIN}/").text, end="")'`,
      git:
        `git clone -q ${ORIGIN}/git/greet.git /tmp/greet && git -C /tmp/greet log --format=%H:%s`,
      fetch:
        `node -e 'fetch("${ORIGIN}/").then((r) => r.text()).then((t) => process.stdout.write(t))'`,
      npm:
        `mkdir /tmp/npm && cd /tmp/npm && npm install --silent --no-audit --no-fund --registry ${ORIGIN}/files/npm/ greet >/dev/null &&
         node -p 'require("greet")'`,
      go1: `/tools/webclient get --url ${ORIGIN}/hinted --http 1`,
      go2: `/tools/webclient get --url ${ORIGIN}/hinted --http 2`,
      socket: `/tools/webclient socket --url wss://good.cdn.test/socket --http 1 --count 20`,
      grpc: `/tools/webclient grpc --url ${ORIGIN} --count 50`,
      strict:
        `openssl s_client -connect good.cdn.test:443 -servername good.cdn.test -showcerts </dev/null 2>/dev/null |
         sed -n '/-BEGIN CERT/,/-END CERT/p' >/tmp/leaf.pem &&
         openssl verify -x509_strict -purpose sslserver -verify_hostname good.cdn.test /tmp/leaf.pem`,
      trace: `curl -sS -o /dev/null -w '%{http_code}' --http1.1 -X TRACE ${ORIGIN}/`,
      otherHost: `curl -sS --http1.1 -w '%{http_code}' -H 'Host: bad.cdn.test' ${ORIGIN}/`,
      untrusted: "curl -sS -w '%{http_code}' https://expired.tls.test/",
    },
    { limit: 600 },
  );
  seen = await world.internet.report();
  journal = readFileSync(log, "utf8").trim().split("\n").map((line) => JSON.parse(line));
}, 700_000);
afterAll(() => world?.[Symbol.asyncDispose]());

/** What a probe said, on both streams. */
const said = (name: string) => `${batch.probes[name]?.stdout}${batch.probes[name]?.stderr}`;

const hello = (protocol: string) => `hello from ${SHARED}:443 as good.cdn.test over ${protocol}\n`;

describe("behind interception", () => {
  test.each([
    ["curl over HTTP/1.1", "curl1", hello("HTTP/1.1")],
    ["curl over HTTP/2", "curl2", hello("HTTP/2.0")],
    ["Python's urllib", "python", hello("HTTP/1.1")],
    ["Python's requests", "requests", hello("HTTP/1.1")],
    ["Node's fetch", "fetch", hello("HTTP/1.1")],
    ["pip install", "pip", "hello from a wheel\n"],
    ["npm install", "npm", "hello from a tarball\n"],
    ["openssl's strict verifier", "strict", "/tmp/leaf.pem: OK\n"],
  ])("%s gets what the server has", (_client, probe, expected) => {
    expect(said(probe)).toBe(expected);
  });

  test("git clones", () => {
    expect(said("git")).toBe(`${registry.commit}:hello from a repository\n`);
  });

  test("an upload without a length arrives whole", () => {
    expect(said("upload")).toStartWith("3000000 ");
  });

  test("a client in Go gets trailers, messages of a WebSocket, and of a gRPC stream", () => {
    for (const name of ["go1", "go2"]) {
      expect(JSON.parse(said(name))).toMatchObject({ body: "hinted", trailer: { Sum: ["6"] } });
    }
    expect(JSON.parse(said("socket"))).toEqual({ echoed: 20 });
    expect(JSON.parse(said("grpc"))).toEqual({ echoed: 50, end: "EOF", trailer: ["i".repeat(10)] });
  });

  test("what is no request to this server is answered by sbx, and the server never hears of it", () => {
    expect(said("trace")).toBe("405");
    expect(said("otherHost")).toMatch(/\(host-mismatch\)\n421$/);
    expect(said("untrusted")).toMatch(/expired \(upstream-untrusted\)\n502$/);
    expect(seen.requests.filter(({ method }) => method === "TRACE")).toEqual([]);
    expect(seen.requests.filter(({ host }) => host !== "good.cdn.test")).toEqual([]);
    expect(batch.run.stderr).toMatch(/^sbx: denied .*421|host-mismatch|another host/m);
    expect(batch.run.stderr).toContain("--no-verify-upstream=expired.tls.test would allow it");
  });

  test("every request is in the journal, without its query", () => {
    const requests = journal.filter(({ event }) => event === "request");
    expect(requests).toContainEqual(
      expect.objectContaining({
        method: "GET",
        host: "good.cdn.test",
        path: "/hinted",
        status: 200,
      }),
    );
    expect(requests).toContainEqual(
      expect.objectContaining({ reason: "host-mismatch", status: 421 }),
    );
    expect(requests).toContainEqual(
      expect.objectContaining({ method: "PUT", path: "/sink", up: 3_000_000 }),
    );
  });
});
