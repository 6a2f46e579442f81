/**
 * A guest that is emulated, on a loaded machine, takes its time over a handshake, and its server would not wait:
 * Go's closes an HTTP/2 connection whose first words have not come within ten seconds.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type NamespaceGuest, openNamespaceGuest } from "../support/namespace_guest.ts";
import { openWorld, type World } from "../support/world.ts";

let world: World;
let guest: NamespaceGuest;
beforeAll(async () => {
  world = await openWorld({ cold: true });
  const tls = { upstreamCa: [world.ca] };
  guest = await openNamespaceGuest(world, { policy: "public-only", journal: false, tls });
}, 200_000);
afterAll(async () => {
  await guest?.[Symbol.asyncDispose]();
  await world?.[Symbol.asyncDispose]();
});

/** In the guest: one request, on a session whose second flight comes so many seconds after the first. */
const CLIENT = `
import socket, ssl, sys, time
context = ssl.create_default_context(cafile=sys.argv[1]); context.set_alpn_protocols([sys.argv[2]])
line = socket.create_connection(("good.cdn.test", 443)); line.settimeout(60)
received, sent = ssl.MemoryBIO(), ssl.MemoryBIO()
session = context.wrap_bio(received, sent, server_hostname="good.cdn.test")
def turn(step):
    while True:
        try: return step()
        except ssl.SSLWantReadError:
            line.sendall(sent.read())
            turns.append(0)
            if len(turns) == 1: time.sleep(float(sys.argv[3]))
            received.write(line.recv(65536))
turns = []
turn(session.do_handshake)
def frame(kind, flags, stream, payload=b""):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload
host = b"good.cdn.test"
head = bytes([0x82, 0x87, 0x84, 0x41, len(host)]) + host
session.write(
    b"PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n" + frame(4, 0, 0) + frame(1, 5, 1, head)
    if sys.argv[2] == "h2" else b"GET / HTTP/1.1\\r\\nHost: " + host + b"\\r\\n\\r\\n"
)
answer = b""
while b"hello from" not in answer: answer += turn(lambda: session.read(65536)) or sys.exit("ended")
print("answered")
`;

test.each(["h2", "http/1.1"])("over %s it is served all the same", async (protocol) => {
  const argv = ["python3", "-c", CLIENT, guest.authority, protocol, "12"];
  expect(await guest.run(argv, { limit: 100 }))
    .toMatchObject({ status: 0, stdout: "answered\n", stderr: "" });
}, 120_000);
