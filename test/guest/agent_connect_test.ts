/** Connections to servers of the guest over the agent's channel, and sockets of this machine joined to them. */
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import type { Agent } from "../../lib/guest/agent/client.ts";
import { type Forwarder, listenAndForward } from "../../lib/host/forwarder.ts";
import { connectionTo } from "../../lib/sandbox/connection.ts";
import { Agents, bytes, text } from "./agent_process.ts";

let agents: Agents;
let agent: Agent;
beforeAll(() => {
  agents = new Agents();
  ({ agent } = agents.start());
});
afterAll(() => agents?.close());

const open: (Server | Forwarder)[] = [];
afterEach(() => {
  for (const each of open.splice(0)) each.close();
});

/** A server of the guest, with what it does with each connection. */
async function serve(handle: (socket: Socket) => void, at = "127.0.0.1"): Promise<number> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => {});
    handle(socket);
  });
  server.listen(0, at);
  await once(server, "listening");
  open.push(server);
  return (server.address() as AddressInfo).port;
}

const to = (port: number, signal?: AbortSignal) =>
  connectionTo(port, signal === undefined ? {} : { signal }, (port) => agent.connect(port));

const words = (text: string) => new TextEncoder().encode(text);

/** Answers with all that it was sent, once that has ended: nothing comes of it without half-closed ends. */
function echoAtEnd(socket: Socket): void {
  const pieces: Uint8Array[] = [];
  socket.on("data", (piece: Uint8Array) => pieces.push(piece));
  socket.once("end", () => socket.end(new Uint8Array(Buffer.concat(pieces))));
}

for (const at of ["127.0.0.1", "127.0.0.9", "::1", "0.0.0.0", "::"]) {
  test(`a server that listens on ${at} is reached`, async () => {
    const port = await serve(echoAtEnd, at);
    const { readable, writable, closed } = to(port);
    const writer = writable.getWriter();
    await writer.write(words("said"));
    await writer.close();
    expect(await text(readable)).toBe("said");
    await closed;
  });
}

test("a port that nobody listens on refuses, and says so everywhere", async () => {
  const port = await serve(() => {});
  open.splice(0).forEach((server) => server.close());
  const { readable, closed } = to(port);
  const refused = {
    code: "CONNECTION_REFUSED",
    message: `Cannot connect to port ${port} of the guest: nobody listens on the port`,
  };
  await expect(closed).rejects.toMatchObject(refused);
  await expect(text(readable)).rejects.toMatchObject(refused);
});

test("what is no port is refused before anything is asked", () => {
  for (const port of [0, -1, 65_536, 1.5, NaN]) {
    expect(() => to(port)).toThrow("ports are 1 to 65535");
  }
});

test("a server's end leaves the other direction open, and its reset breaks both", async () => {
  const heard = Promise.withResolvers<string>();
  const ending = await serve((socket) => {
    socket.end("bye");
    let all = "";
    socket.on("data", (piece) => all += String(piece));
    socket.once("end", () => heard.resolve(all));
  });
  const first = to(ending);
  expect(await text(first.readable)).toBe("bye");
  const writer = first.writable.getWriter();
  await writer.write(words("still here"));
  await writer.close();
  expect(await heard.promise).toBe("still here");
  await first.closed;

  const resetting = await serve((socket) => socket.once("data", () => socket.resetAndDestroy()));
  const second = to(resetting);
  await second.writable.getWriter().write(words("x"));
  await expect(second.closed).rejects.toMatchObject({ code: "CONNECTION_RESET" });
  await expect(text(second.readable)).rejects.toMatchObject({ code: "CONNECTION_RESET" });
});

test("an abort, a cancel and a signal reset the server's side", async () => {
  const ways: readonly ((connection: ReturnType<typeof to>, giveUp: () => void) => void)[] = [
    ({ writable }) => void writable.abort().catch(() => {}),
    ({ readable }) => void readable.cancel().catch(() => {}),
    (_, giveUp) => giveUp(),
  ];
  for (const way of ways) {
    const broken = Promise.withResolvers<unknown>();
    const greeted = Promise.withResolvers<void>();
    const port = await serve((socket) => {
      greeted.resolve();
      socket.on("error", broken.resolve);
    });
    const enough = new AbortController();
    const connection = to(port, enough.signal);
    await greeted.promise;
    way(connection, () => enough.abort());
    expect(await broken.promise).toMatchObject({ code: "ECONNRESET" });
    await expect(connection.closed).rejects.toMatchObject({ code: "CONNECTION_RESET" });
  }
});

async function forwarded(port: number): Promise<number> {
  const forwarder = await listenAndForward({
    address: "127.0.0.1",
    port: 0,
    connect: () => to(port),
  });
  open.push(forwarder);
  return forwarder.port;
}

/** Everything a server says to a client that has said its part. */
async function asked(port: number, said: Uint8Array): Promise<Uint8Array> {
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  const pieces: Uint8Array[] = [];
  socket.on("data", (piece: Uint8Array) => pieces.push(piece));
  socket.end(said);
  await once(socket, "end");
  return Buffer.concat(pieces);
}

test("a hundred sockets at once, each half-closed, get what is theirs", async () => {
  const port = await forwarded(await serve(echoAtEnd));
  const sent = Array.from({ length: 100 }, (_, at) => randomBytes(at * 997));
  const got = await Promise.all(sent.map((each) => asked(port, each)));
  expect(got.map((each) => Buffer.from(each).toString("hex"))).toEqual(
    sent.map((each) => each.toString("hex")),
  );
});

test("megabytes pass both ways at once", async () => {
  const content = randomBytes(8 << 20);
  const port = await forwarded(await serve((socket) => socket.pipe(socket)));
  expect(Buffer.compare(await asked(port, content), content)).toBe(0);
});

test("a socket whose server is not there, or breaks off, is reset", async () => {
  const gone = await serve(() => {});
  open.splice(0).forEach((server) => server.close());
  const breaking = await serve((socket) => socket.once("data", () => socket.resetAndDestroy()));
  for (const port of [gone, breaking]) {
    const socket = connect(await forwarded(port), "127.0.0.1");
    socket.write("x");
    const [error] = await once(socket, "error").catch((error) => [error]);
    expect(error).toMatchObject({ code: "ECONNRESET" });
  }
});

test("a client that is gone is gone for the server; one that reads nothing holds up no other", async () => {
  const broken = Promise.withResolvers<unknown>();
  const greeted = Promise.withResolvers<void>();
  const port = await forwarded(
    await serve((socket) => {
      socket.on("error", broken.resolve);
      socket.write(new Uint8Array(64 << 20));
      greeted.resolve();
    }),
  );
  const deaf = connect(port, "127.0.0.1");
  await once(deaf, "connect");
  deaf.pause();
  await greeted.promise;
  const other = await forwarded(await serve(echoAtEnd));
  expect(Buffer.from(await asked(other, words("through"))).toString()).toBe("through");
  deaf.resetAndDestroy();
  expect(await broken.promise).toMatchObject({ code: "ECONNRESET" });
});

test("a port that is taken, and an address that is nobody's, are errors that say so", async () => {
  const taken = await forwarded(1);
  const connectNowhere = () => to(1);
  const at = (address: string, port: number) =>
    listenAndForward({ address, port, connect: connectNowhere });
  await expect(at("127.0.0.1", taken)).rejects.toMatchObject({
    code: "PORT_BUSY",
    message: `Cannot listen on 127.0.0.1:${taken}: the port is taken`,
  });
  await expect(at("192.0.2.1", 0)).rejects.toMatchObject({ code: "PORT_UNAVAILABLE" });
});

test("what the guest sends before its end is all delivered", async () => {
  const content = randomBytes(3 << 20);
  const port = await serve((socket) => socket.end(content));
  const { readable, writable, closed } = to(port);
  expect(Buffer.compare(Buffer.from(await bytes(readable)), content)).toBe(0);
  await writable.close();
  await closed;
});
