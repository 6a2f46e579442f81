/** Sockets of this machine whose other side goes first, or is not there any more. */
import { expect, test } from "bun:test";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { SbxError } from "../../lib/base/errors.ts";
import { listenAndForward } from "../../lib/host/forwarder.ts";
import { joinSocket } from "../../lib/host/joined_socket.ts";

test("a socket goes on to its end when the other side takes no more, says its part and is gone", async () => {
  const server = createServer({ allowHalfOpen: true });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const accepted = once(server, "connection") as Promise<[Socket]>;
  const { port } = server.address() as AddressInfo;
  const client = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  const [socket] = await accepted;
  const joined = joinSocket(socket, {
    readable: new ReadableStream({
      start(controller) {
        controller.enqueue(new TextEncoder().encode("bye"));
        controller.close();
      },
    }),
    writable: new WritableStream({ write: () => Promise.reject(new Error("takes no more")) }),
    closed: Promise.resolve(),
  });
  let heard = "";
  client.on("data", (bytes) => heard += String(bytes));
  client.end(new Uint8Array(4 << 20));
  await joined;
  if (!client.readableEnded) await once(client, "end");
  expect(heard).toBe("bye");
  server.close();
});

test("a connection that there is nothing for any more is reset", async () => {
  await using forwarder = await listening();
  const client = connect(forwarder.port, "127.0.0.1");
  const [error] = await once(client, "error").catch((error) => [error]);
  expect(error).toMatchObject({ code: "ECONNRESET" });
});

async function listening() {
  const { port, close } = await listenAndForward({
    address: "127.0.0.1",
    port: 0,
    connect() {
      throw new SbxError("STOPPED", "Cannot connect to port 80: the sandbox was stopped");
    },
  });
  // deno-lint-ignore require-await -- the interface wants a promise
  return { port, [Symbol.asyncDispose]: async () => close() };
}
