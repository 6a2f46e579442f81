/**
 * A socket on the file system that only its owner reaches.
 *
 * @module
 */
import { chmodSync, rmSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { Buffer } from "node:buffer";
import process from "node:process";
import type { Duplex } from "node:stream";
import { ownSystem } from "./own_system.ts";

/** Connections at once; more are closed as they come. Each may cost its listener some memory. */
const MOST_CONNECTIONS = 512;

/** What struct sockaddr_un takes on all systems, less its NUL. */
const LONGEST = 103;

/**
 * Listens there, in the place of what an earlier listener left. Who connects is the user himself or root,
 * or hears nothing. Whoever calls holds the lock of the place.
 */
export async function listenAt(
  path: string,
  take: (port: Duplex) => void,
): Promise<{ close(): void }> {
  rmSync(path, { force: true });
  const open = new Set<Socket>();
  const server: Server = createServer({ allowHalfOpen: false }, (socket) => {
    socket.on("error", () => {}); // its close says it
    if (open.size < MOST_CONNECTIONS && mayTalk(socket)) {
      open.add(socket);
      socket.once("close", () => open.delete(socket));
      take(socket);
    } else socket.destroy();
  });
  const short = shortened(path);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  server.listen(short.path, () => resolve());
  await promise.finally(short.close);
  chmodSync(path, 0o600);
  return {
    close() {
      server.close();
      rmSync(path, { force: true });
    },
  };
}

/** A connection to whoever listens there; rejects with the system's error. */
export async function connectTo(path: string): Promise<Duplex> {
  const short = shortened(path);
  const socket = connect(short.path);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  socket.once("connect", resolve);
  socket.once("error", reject);
  await promise.finally(short.close);
  socket.off("error", reject);
  socket.on("error", () => {}); // its close says it
  return socket;
}

function mayTalk(socket: Socket): boolean {
  const fd = (socket as unknown as { _handle?: { fd?: number } })._handle?.fd;
  const user = fd === undefined || fd < 0 ? undefined : ownSystem().sockets.peerUser(fd);
  return user !== undefined && (user === 0 || user === process.geteuid?.());
}

function shortened(path: string): { readonly path: string; close(): void } {
  const isShort = Buffer.byteLength(path) <= LONGEST;
  return isShort ? { path, close: () => {} } : ownSystem().sockets.shortened(path);
}
