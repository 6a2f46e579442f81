import { afterEach, describe, expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import { execFile } from "node:child_process";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { Duplex } from "node:stream";
import { setImmediate } from "node:timers";
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from "node:tls";
import type { Session } from "../../lib/tls/session/session.ts";
import { terminate, type TerminateSpec } from "../../lib/tls/session/terminate.ts";
import { selfSigned } from "../runtime/certificate.ts";
import { ManualClock } from "../support/manual_clock.ts";

const identity = selfSigned();
const cleanups: (() => void)[] = [];
afterEach(() => cleanups.splice(0).forEach((clean) => clean()));

/** A listener whose connections are flows of a guest; `sessions` come out of it in order. */
async function listen(options: Partial<TerminateSpec> = {}) {
  const sessions: Promise<Session | null>[] = [];
  const flows: Socket[] = [];
  const server = createServer({ allowHalfOpen: true }, (guest) => {
    flows.push(guest);
    sessions.push(
      terminate({ guest, identity, alpn: "http/1.1", minVersion: "TLSv1.2", ...options }),
    );
    wake();
  });
  let wake = () => {};
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  cleanups.push(() => server.close());
  const { port } = server.address() as AddressInfo;
  const outcome = async () => {
    while (sessions.length === 0) await new Promise<void>((resolve) => wake = resolve);
    return await sessions.shift();
  };
  const accepted = async () => {
    const session = await outcome();
    if (session === null || session === undefined) throw new Error("no session");
    return session;
  };
  return { port, outcome, accepted, flows };
}

function dial(port: number, options: ConnectionOptions = {}): TLSSocket {
  const socket = connectTls({
    port,
    host: "127.0.0.1",
    ca: identity.cert,
    servername: "localhost",
    ALPNProtocols: ["h2", "http/1.1"],
    ...options,
  });
  cleanups.push(() => socket.destroy());
  return socket;
}

/** Everything until the end. */
async function read(stream: Duplex): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

const failure = (socket: TLSSocket) =>
  new Promise<string>((resolve) =>
    socket.on("error", (error: Error & { code?: string }) => resolve(error.code ?? error.message))
  );

describe("terminate()", () => {
  test("carries bytes both ways, with the protocol that was chosen", async () => {
    const { port, accepted } = await listen();
    const client = dial(port);
    const session = await accepted();
    client.write("question");
    expect(String(await new Promise((resolve) => session.once("data", resolve)))).toBe("question");
    expect(client.alpnProtocol).toBe("http/1.1");
    expect(client.getProtocol()).toBe("TLSv1.3");
    session.end("answer");
    expect(String(await read(client))).toBe("answer");
  });

  test("reads no further ahead of a slow reader than a few of Bun's reads", async () => {
    const { port, accepted, flows } = await listen();
    const client = dial(port);
    const session = await accepted();
    client.write(Buffer.alloc(32 << 20, "x"));
    let taken = 0;
    let ahead = 0;
    session.on("data", (chunk: Buffer) => {
      taken += chunk.length;
      ahead = Math.max(ahead, (flows[0]?.bytesRead ?? 0) - taken);
      session.pause();
      setImmediate(() => setImmediate(() => session.resume())); // the connection has its turn
    });
    while (taken < 8 << 20) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(ahead).toBeLessThan(4 << 20);
  });

  test("delivers 32 MiB each way, unchanged, to a slow reader", async () => {
    const { port, accepted } = await listen();
    const client = dial(port);
    const session = await accepted();
    const bytes = Buffer.alloc(32 << 20, "0123456789abcde");
    client.write(bytes);
    let received = 0;
    const hash = new Bun.CryptoHasher("sha256");
    for await (const chunk of session) {
      hash.update(chunk as Buffer);
      received += (chunk as Buffer).length;
      if (received % 7 === 0) await Bun.sleep(1);
      if (received >= bytes.length) break;
    }
    expect(hash.digest("hex")).toBe(new Bun.CryptoHasher("sha256").update(bytes).digest("hex"));
  }, 30_000);

  test("ends after everything was sent", async () => {
    const { port, accepted } = await listen();
    const client = dial(port);
    const session = await accepted();
    const bytes = Buffer.alloc(8 << 20, "0123456789abcde");
    session.end(bytes);
    await Bun.sleep(50); // the client does not read yet
    expect((await read(client)).equals(bytes)).toBe(true);
  });

  test.each([
    ["a guest that does not read holds its writer back", (_client: TLSSocket, s: Duplex) => s],
    ["a guest's bytes that nobody reads hold the guest back", (client: TLSSocket) => client],
  ])("%s", async (_what, writer) => {
    const { port, accepted } = await listen();
    const client = dial(port);
    client.pause();
    const session = await accepted();
    const to = writer(client, session);
    const piece = Buffer.alloc(1 << 20);
    let taken = 0;
    for (let idle = 0; idle < 100 && taken < 256 << 20;) {
      if (to.writableNeedDrain) {
        idle++;
        await Bun.sleep(2);
      } else {
        idle = 0;
        to.write(piece);
        taken += piece.length;
      }
    }
    expect(taken).toBeLessThan(64 << 20); // mostly the kernel's buffers
    session.destroy();
  }, 30_000);

  test("tells a guest that was cut off from one that closed", async () => {
    const { port, accepted, flows } = await listen();
    const raw = connect(port, "127.0.0.1");
    const client = dial(port, { socket: raw });
    const session = await accepted();
    const cut = new Promise<void>((resolve) => session.on("end", resolve));
    session.resume();
    flows[0]?.push(null); // its FIN, without close_notify
    await cut;
    expect(session.fault).toBe("cut");
    client.destroy();

    const closing = dial(port);
    const other = await accepted();
    closing.end("last words");
    expect(String(await read(other))).toBe("last words");
    expect(other.fault).toBeNull();
  });

  /** A client whose records pass through `damage` before they leave, once that is set. */
  async function damaged(version: "TLSv1.2" | "TLSv1.3") {
    const { port, accepted, flows } = await listen();
    const raw = connect(port, "127.0.0.1");
    const line: { damage: ((records: Buffer) => Buffer) | null } = { damage: null };
    const stream = new Duplex({
      read: () => {},
      write: (chunk: Buffer, _encoding, done) => {
        raw.write(line.damage?.(Buffer.from(chunk)) ?? chunk, () => done());
      },
    });
    raw.on("data", (chunk) => stream.push(chunk)).on("error", () => {});
    const client = dial(port, {
      socket: stream as never,
      minVersion: version,
      maxVersion: version,
    });
    client.on("error", () => {});
    cleanups.push(() => raw.destroy());
    return { client, raw, line, session: await accepted(), flow: flows[0] };
  }

  const at = (index: number) => (records: Buffer) => {
    const where = index < 0 ? records.length + index : index;
    records[where] = (records[where] ?? 0) ^ 1;
    return records;
  };
  const injected = (bytes: Buffer) => (records: Buffer) => Buffer.concat([bytes, records]);

  describe.each(["TLSv1.2", "TLSv1.3"] as const)(
    "a session of %s is broken, not ended, by",
    (version) => {
      test.each<[what: string, damage: (records: Buffer) => Buffer]>([
        ["a flipped bit in a record", at(-3)],
        ["a flipped bit in its authentication tag", at(-1)],
        ["another type of record", at(0)],
        ["a record longer than any", (records) => (records[3] = 0x80, records)],
        ["a plaintext close_notify", injected(Buffer.from([21, 3, 3, 0, 2, 1, 0]))],
        ["a plaintext fatal alert", injected(Buffer.from([21, 3, 3, 0, 2, 2, 80]))],
        ["plain HTTP", injected(Buffer.from("GET / HTTP/1.1\r\n\r\n"))],
        ["zeros", injected(Buffer.alloc(64))],
      ])("%s", async (_what, damage) => {
        const { client, line, session, flow } = await damaged(version);
        client.write("first");
        expect(String(await new Promise((resolve) => session.once("data", resolve)))).toBe("first");
        let more = "";
        session.on("data", (chunk) => more += chunk);
        const over = new Promise<void>((resolve) => session.once("end", resolve));
        line.damage = damage;
        client.write("second");
        await over;
        expect(session.fault).toBe("broken");
        expect(more).toBe("");
        session.destroy();
        expect(flow?.destroyed).toBe(true);
      });

      test("nothing, when it ends in order", async () => {
        const { client, session } = await damaged(version);
        client.end("last words");
        expect(String(await read(session))).toBe("last words");
        expect(session.fault).toBeNull();
      });
    },
  );

  test("can end as one that was cut off, after everything was sent", async () => {
    const { port, accepted } = await listen();
    const client = `
import socket, ssl, sys
context = ssl._create_unverified_context()
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as raw:
    s = context.wrap_socket(raw, suppress_ragged_eofs=False)
    s.sendall(b"?")
    got = 0
    try:
        while True:
            part = s.recv(9999)
            if not part: print(got, "closed"); break
            got += len(part)
    except ssl.SSLEOFError: print(got, "cut")
`;
    const output = new Promise<string>((resolve) => {
      execFile("python3", ["-c", client, String(port)], (_error, stdout) => resolve(stdout));
    });
    const session = await accepted();
    session.once("data", () => {
      session.write("half".repeat(100_000));
      session.endCut();
    });
    expect(await output).toBe("400000 cut\n");
  });

  test.each<[what: string, client: ConnectionOptions, code: string]>([
    [
      "no_application_protocol to one that does not speak it",
      { ALPNProtocols: ["h3"] },
      "ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL",
    ],
    [
      "protocol_version to TLS 1.1",
      { minVersion: "TLSv1", maxVersion: "TLSv1.1" },
      "ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION",
    ],
  ])("sends %s", async (_what, options, code) => {
    const { port, outcome } = await listen();
    const client = dial(port, options);
    expect(await failure(client)).toBe(code);
    expect(await outcome()).toBeNull();
  });

  test("answers no protocol where none was chosen", async () => {
    const { port, accepted } = await listen({ alpn: null });
    const client = dial(port);
    const connected = new Promise<void>((resolve) => client.once("secureConnect", resolve));
    await accepted();
    await connected;
    expect(client.alpnProtocol).toBe(false);
  });

  test("ends a handshake that takes too long, and one that is none", async () => {
    const clock = new ManualClock();
    const { port, outcome, flows } = await listen({ clock });
    const silent = connect(port, "127.0.0.1");
    const slow = outcome();
    while (flows.length === 0) await Bun.sleep(1);
    await clock.pass(60_001);
    expect(await slow).toBeNull();
    silent.destroy();
    const loud = connect(port, "127.0.0.1");
    loud.on("error", () => {}).write("SSH-2.0-x\r\n".repeat(20));
    expect(await outcome()).toBeNull();
    loud.destroy();
  });

  test("does not resume a session that another flow began", async () => {
    const { port, accepted } = await listen();
    const first = dial(port, { maxVersion: "TLSv1.2" });
    await accepted();
    const ticket = first.getSession();
    const second = dial(port, { maxVersion: "TLSv1.2", ...(ticket ? { session: ticket } : {}) });
    await accepted();
    expect(second.isSessionReused()).toBe(false);
  });

  test("is met by openssl's client", async () => {
    const { port, accepted } = await listen();
    const output = new Promise<string>((resolve) => {
      const args = ["s_client", "-quiet", "-connect", `127.0.0.1:${port}`, "-alpn", "http/1.1"];
      const client = execFile("openssl", args, (_error, stdout) => resolve(stdout));
      client.stdin?.write("hello\n");
      cleanups.push(() => client.kill());
    });
    const session = await accepted();
    expect(String(await new Promise((resolve) => session.once("data", resolve)))).toBe("hello\n");
    session.end("goodbye\n");
    expect(await output).toBe("goodbye\n");
  });
});
