/**
 * Peers of published ports: what programs on the host say to them, and what comes back.
 *
 * @module
 */
import type { World } from "./world.ts";

/** What connects to a port on which nobody listens in the guest, or which is refused. */
export const RESET = "ConnectionResetError: [Errno 104] Connection reset by peer";

/** Says `what` over TCP, ends its direction, and prints all that comes back. */
export function say(world: World, at: string, port: number, what: string): Promise<string> {
  return world.run([
    "python3",
    "-c",
    `
import socket
s = socket.create_connection(("${at}", ${port}), 20)
s.sendall(b"${what}"); s.shutdown(socket.SHUT_WR)
while b := s.recv(1 << 16): print(b.decode(), end="")`,
  ]).then(({ stdout, stderr }) => stdout || (stderr.trim().split("\n").at(-1) ?? ""));
}

/** What a server answers to datagrams from one socket, each asked for again a few times. */
export function ask(
  world: World,
  at: string,
  port: number,
  ...words: readonly string[]
): Promise<string[]> {
  const family = at.includes(":") ? "AF_INET6" : "AF_INET";
  return world.run([
    "python3",
    "-c",
    `
import socket
s = socket.socket(socket.${family}, socket.SOCK_DGRAM); s.settimeout(10)
for word in ${JSON.stringify(words)}:
    s.sendto(word.encode(), ("${at}", ${port})); print(s.recv(9999).decode())`,
  ]).then(({ stdout }) => stdout.trim().split("\n"));
}

/** What comes back for one datagram, or "timed out". */
export function hear(world: World, at: string, port: number, word: string): Promise<string> {
  const family = at.includes(":") ? "AF_INET6" : "AF_INET";
  return world.run([
    "python3",
    "-c",
    `
import socket
s = socket.socket(socket.${family}, socket.SOCK_DGRAM); s.settimeout(1)
s.connect(("${at}", ${port})); s.send(b"${word}")
try: print(s.recv(9999))
except OSError as error: print(error)`,
  ]).then(({ stdout }) => stdout);
}
