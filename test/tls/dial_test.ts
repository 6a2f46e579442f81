/** The session with a server, at its end: closed in order, or cut off by whoever is in between. */
import { afterEach, expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import { type AddressInfo, connect, createServer as createTcpServer, type Server } from "node:net";
import { createServer, type TLSSocket } from "node:tls";
import { NameSet } from "../../lib/policy/model/name_set.ts";
import { Dialer } from "../../lib/tls/session/dial.ts";
import { selfSigned } from "../runtime/certificate.ts";

const own = selfSigned();
const cleanups: (() => void)[] = [];
afterEach(() => cleanups.splice(0).forEach((clean) => clean()));

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  cleanups.push(() => server.close());
  return (server.address() as AddressInfo).port;
}

/** A TLS server behind somebody who can end the connection in its stead. */
async function dial(version: "TLSv1.2" | "TLSv1.3") {
  const { promise: accepted, resolve: accept } = Promise.withResolvers<TLSSocket>();
  const server = createServer({ ...own, maxVersion: version }, accept);
  let damaging = false;
  const { promise: cutter, resolve: ready } = Promise.withResolvers<() => void>();
  const between = createTcpServer({ allowHalfOpen: true }, (near) => {
    const far = connect(port, "127.0.0.1");
    far.on("error", () => {});
    near.on("error", () => {});
    far.on("data", (bytes: Buffer) => {
      if (damaging) bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
      near.write(bytes);
    }).on("end", () => near.end());
    near.on("data", (bytes) => void far.write(bytes));
    ready(() => {
      far.removeAllListeners("data");
      near.end();
    });
    cleanups.push(() => (far.destroy(), near.destroy()));
  });
  const port = await listen(server);
  const socket = connect({ host: "127.0.0.1", port: await listen(between), allowHalfOpen: true });
  await new Promise<void>((resolve) => socket.once("connect", resolve));
  const dialled = await new Dialer({ roots: [own.cert], unverified: new NameSet() }).dial({
    socket,
    sni: "localhost",
    identity: "127.0.0.1",
    offer: {
      alpn: [],
      ciphers: "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:TLS_AES_128_GCM_SHA256",
      minVersion: "TLSv1.2",
      maxVersion: version,
    },
    signal: new AbortController().signal,
  });
  if (dialled.kind === "failed") throw new Error(JSON.stringify(dialled.failure));
  return {
    stream: dialled.session.stream,
    server: await accepted,
    cut: await cutter,
    /** From now on a bit of what the server sends is flipped. */
    damage: () => {
      damaging = true;
    },
  };
}

const BYTES = Buffer.alloc(300_000, "0123456789abcde");

test.each<["TLSv1.2" | "TLSv1.3", "closed" | "cut off", paused: boolean]>([
  ["TLSv1.2", "closed", false],
  ["TLSv1.2", "closed", true],
  ["TLSv1.2", "cut off", false],
  ["TLSv1.3", "closed", false],
  ["TLSv1.3", "closed", true],
  ["TLSv1.3", "cut off", false],
  ["TLSv1.3", "cut off", true],
])(
  "a session of %s that was %s is told for what it was (held up: %p)",
  async (version, how, held) => {
    const { stream, server, cut } = await dial(version);
    const got: Buffer[] = [];
    let ended = false;
    const closed = new Promise<void>((resolve) => stream.on("close", resolve));
    const all = new Promise<void>((resolve) => {
      stream.on("end", () => {
        ended = true;
        stream.end();
        resolve();
      }).on("close", resolve);
      stream.on("data", (bytes: Buffer) => {
        got.push(bytes);
        if (held) {
          stream.pause();
          setTimeout(() => stream.resume(), 10);
        }
        const whole = got.reduce((sum, { length }) => sum + length, 0) === BYTES.length;
        if (whole && how === "cut off") cut();
      });
    });
    if (how === "closed") server.end(BYTES);
    else server.write(BYTES);
    await all;
    expect(Buffer.concat(got).equals(BYTES)).toBe(true);
    expect(ended).toBe(true);
    expect(stream.fault).toBe(how === "closed" ? null : "cut");
    await closed;
  },
);

test.each(["TLSv1.2", "TLSv1.3"] as const)(
  "a session of %s whose server's record is none is broken, after its last good byte",
  async (version) => {
    const { stream, server, damage } = await dial(version);
    const got: Buffer[] = [];
    let size = 0;
    const over = new Promise<void>((resolve) => stream.once("end", resolve));
    const all = new Promise<void>((resolve) => {
      stream.on("data", (bytes: Buffer) => {
        got.push(bytes);
        size += bytes.length;
        if (size >= BYTES.length) resolve();
      });
    });
    server.write(BYTES);
    await all;
    damage();
    server.write("more");
    await over;
    expect(Buffer.concat(got).equals(BYTES)).toBe(true);
    expect(stream.fault).toBe("broken");
  },
);
