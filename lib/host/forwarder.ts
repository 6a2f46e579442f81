/**
 * Listens on a port of this machine and joins each connection to one into a guest.
 *
 * @module
 */
import { createServer, type Socket } from "node:net";
import { formatEndpoint } from "../base/address.ts";
import { SbxError } from "../base/errors.ts";
import { systemCode, systemWords } from "../base/file_error.ts";
import { type Conduit, joinSocket } from "./joined_socket.ts";

export interface ForwarderSpec {
  readonly address: string;
  /** 0: one that the system chooses. */
  readonly port: number;
  /** @throws when there is nothing to connect to any more; the connection is then reset */
  readonly connect: () => Conduit;
}

export interface Forwarder {
  /** The one that listens. */
  readonly port: number;
  /** Listens no more, and resets what is open. */
  close(): void;
}

/** @throws SbxError PORT_BUSY, PORT_UNAVAILABLE */
export async function listenAndForward(spec: ForwarderSpec): Promise<Forwarder> {
  const open = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    const conduit = conduitOf(spec);
    if (conduit === null) return void socket.resetAndDestroy();
    open.add(socket);
    socket.once("close", () => open.delete(socket));
    void joinSocket(socket, conduit);
  });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", (cause) => reject(refusal(spec, cause)));
  server.listen({ host: spec.address, port: spec.port }, resolve);
  await promise;
  server.on("error", () => {}); // of one connection, which is not there then
  const bound = server.address();
  return {
    port: typeof bound === "object" && bound !== null ? bound.port : spec.port,
    close() {
      server.close();
      for (const socket of open) socket.resetAndDestroy();
    },
  };
}

/** Null when there is nothing to connect to any more. */
function conduitOf({ connect }: ForwarderSpec): Conduit | null {
  try {
    return connect();
  } catch (error) {
    if (!(error instanceof SbxError)) throw error;
    return null;
  }
}

function refusal({ address, port }: ForwarderSpec, cause: unknown): SbxError {
  const cannot = `Cannot listen on ${formatEndpoint(address, port)}`;
  switch (systemCode(cause)) {
    case "EADDRINUSE":
      return new SbxError("PORT_BUSY", `${cannot}: the port is taken`, {
        hint: "take another port, or 0 for one that is free",
        cause,
      });
    case "EACCES":
      return new SbxError("PORT_UNAVAILABLE", `${cannot}: permission denied`, {
        hint: "take a port from 1024 up",
        cause,
      });
    case "EADDRNOTAVAIL":
      return new SbxError("PORT_UNAVAILABLE", `${cannot}: it is no address of this machine`, {
        hint: "take 127.0.0.1, or 0.0.0.0 for all addresses that there are",
        cause,
      });
    default:
      return new SbxError("PORT_UNAVAILABLE", `${cannot}: ${systemWords(cause)}`, { cause });
  }
}
