/**
 * A name service on a loopback port, for clients that only know sockets.
 *
 * @module
 */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import type { DnsService } from "../../lib/dns/service.ts";
import { TcpSessions } from "../../lib/dns/tcp_sessions.ts";

export interface DnsFront {
  readonly port: number;
  close(): void;
}

/** Serves UDP and TCP on the same free port of 127.0.0.1. */
export async function serveDns(dns: DnsService): Promise<DnsFront> {
  const udp = createSocket("udp4");
  udp.on("message", (query, { address, port }) => {
    void dns.answer(query, "udp").then((reply) => {
      if (reply !== null) udp.send(reply, port, address);
    });
  });
  udp.bind(0, "127.0.0.1");
  await once(udp, "listening");
  const { port } = udp.address();
  const sessions = new TcpSessions();
  const connections = new Set<Socket>();
  const tcp = createServer({ allowHalfOpen: true }, (socket) => {
    connections.add(socket);
    socket.on("close", () => connections.delete(socket));
    sessions.serve(socket, (query) => dns.answer(query, "tcp"));
  });
  tcp.listen(port, "127.0.0.1");
  await once(tcp, "listening");
  return {
    port,
    close: () => {
      udp.close();
      tcp.close();
      for (const socket of connections) socket.destroy();
    },
  };
}
