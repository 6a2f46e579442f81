/**
 * A DNS server on loopback that tells the truth, lies, cuts, delays or keeps silent as a test wants,
 * and keeps every query as the bytes that came.
 *
 * It speaks with another codec than sbx's (dns-packet), so that the two check each other.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import dnsPacket, { type Answer, type DecodedPacket, type Packet } from "dns-packet";

/** A query as it came. */
export interface Received {
  readonly via: "udp" | "tcp";
  readonly bytes: Buffer;
  readonly packet: DecodedPacket;
  readonly port: number;
}

/** What to send: a message, raw bytes, several of either, or nothing. */
export type Response = Packet | Uint8Array | readonly (Packet | Uint8Array)[] | null;

/** Decides on a query; `truth` is what the zone says. */
export type Behaviour = (query: Received, truth: Packet) => Response | Promise<Response>;

const SOA = {
  type: "SOA",
  name: "test",
  ttl: 60,
  data: {
    mname: "ns.test",
    rname: "admin.test",
    serial: 1,
    refresh: 1,
    retry: 1,
    expire: 1,
    minimum: 30,
  },
} as const satisfies Answer;

export class DnsServer {
  /** What came, in order. */
  readonly received: Received[] = [];
  /** The zone: records of any name and type. Names are compared without case. */
  readonly zone: Answer[] = [];
  behaviour: Behaviour = (_, truth) => truth;
  readonly address: string;
  readonly #udp: UdpSocket;
  readonly #tcp: Server;
  readonly #connections = new Set<Socket>();
  #closed = false;

  private constructor(address: string, udp: UdpSocket, tcp: Server) {
    this.address = address;
    this.#udp = udp;
    this.#tcp = tcp;
    udp.on("message", (bytes, { port, address }) => {
      void this.#respond(
        { via: "udp", bytes, port, packet: dnsPacket.decode(bytes) },
        (reply) => udp.send(reply, port, address),
      );
    });
    tcp.on("connection", (socket) => this.#serve(socket));
  }

  /** Listens on the same free port over UDP and TCP. */
  static async start(zone: readonly Answer[] = [], address = "127.0.0.1"): Promise<DnsServer> {
    for (;;) {
      const udp = createSocket(address.includes(":") ? "udp6" : "udp4");
      udp.bind(0, address);
      await once(udp, "listening");
      const tcp = createServer().listen(udp.address().port, address);
      if (await once(tcp, "listening").then(() => true, () => false)) {
        const server = new DnsServer(address, udp, tcp);
        server.zone.push(...zone);
        return server;
      }
      udp.close(); // another program has the TCP port of that number
    }
  }

  get port(): number {
    return this.#udp.address().port;
  }

  /** Names asked for so far, in lower case. */
  get asked(): string[] {
    return this.received.map(({ packet }) => (packet.questions?.[0]?.name ?? "").toLowerCase());
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#udp.close();
    this.#tcp.close();
    for (const socket of this.#connections) socket.destroy();
  }

  #serve(socket: Socket): void {
    this.#connections.add(socket);
    let held = Buffer.alloc(0);
    socket.on("error", () => {});
    socket.on("close", () => this.#connections.delete(socket));
    socket.on("data", (chunk: Buffer) => {
      held = Buffer.concat([held, chunk]);
      while (held.length >= 2 && held.length >= 2 + held.readUInt16BE(0)) {
        const bytes = held.subarray(2, 2 + held.readUInt16BE(0));
        held = held.subarray(2 + bytes.length);
        const port = socket.remotePort ?? 0;
        void this.#respond(
          { via: "tcp", bytes, port, packet: dnsPacket.decode(bytes) },
          (reply) => {
            const length = Buffer.alloc(2);
            length.writeUInt16BE(reply.length);
            socket.write(Buffer.concat([length, reply]));
          },
        );
      }
    });
  }

  async #respond(query: Received, send: (reply: Uint8Array) => void): Promise<void> {
    this.received.push(query);
    const response = await this.behaviour(query, this.#truth(query.packet));
    for (const part of isList(response) ? response : [response]) {
      if (part !== null) send(part instanceof Uint8Array ? part : this.#encode(part, query));
    }
  }

  /** Over UDP what does not fit the client is cut to the question, as servers do. */
  #encode(packet: Packet, { via, packet: { additionals } }: Received): Uint8Array {
    const whole = dnsPacket.encode(packet);
    const opt = additionals?.find(({ type }) => type === "OPT");
    const limit = opt?.type === "OPT" ? opt.udpPayloadSize : 512;
    if (via === "tcp" || whole.length <= Math.max(512, limit)) return whole;
    const flags = (packet.flags ?? 0) | dnsPacket.TRUNCATED_RESPONSE;
    return dnsPacket.encode({ ...packet, flags, answers: [], authorities: [] });
  }

  #truth({ id, questions, additionals }: DecodedPacket): Packet {
    const [question] = questions ?? [];
    const flags = dnsPacket.RECURSION_DESIRED | dnsPacket.RECURSION_AVAILABLE;
    const base = { type: "response", id: id ?? 0, questions: questions ?? [] } as const;
    if (question === undefined) return { ...base, flags: flags | 1 };
    const found = this.#lookUp(question.name, question.type);
    const exists = found.length > 0 || this.#owned(question.name).length > 0;
    return {
      ...base,
      flags: flags | (exists ? 0 : 3),
      answers: found,
      authorities: found.some(({ type }) => type === question.type) ? [] : [SOA],
      additionals: (additionals ?? []).some(({ type }) => type === "OPT") ? [OPT] : [],
    };
  }

  #lookUp(name: string, type: string): Answer[] {
    const owned = this.#owned(name);
    const fitting = owned.filter((record) => record.type === type || type === "ANY");
    const alias = owned.find((record) => record.type === "CNAME");
    if (fitting.length > 0 || alias?.type !== "CNAME") return fitting;
    return [alias, ...this.#lookUp(alias.data, type)];
  }

  #owned(name: string): Answer[] {
    return this.zone.filter((record) => record.name.toLowerCase() === name.toLowerCase());
  }
}

const OPT: Answer = {
  type: "OPT",
  name: ".",
  udpPayloadSize: 1232,
  extendedRcode: 0,
  ednsVersion: 0,
  flags: 0,
  flag_do: false,
  options: [],
};

function isList(response: Response): response is readonly (Packet | Uint8Array)[] {
  return Array.isArray(response);
}
