/**
 * An HTTP/2 relay between two peers in the test's hands.
 *
 * @module
 */
import type { Exchange, RelayEnd } from "../../lib/http/exchange.ts";
import { PASS } from "../../lib/http/gate.ts";
import { relay, type RelaySpec } from "../../lib/http/relay.ts";
import { H2Peer } from "./h2_peer.ts";
import { pair } from "./pair.ts";

export const GET = {
  ":method": "GET",
  ":scheme": "https",
  ":authority": "api.allowed.test",
  ":path": "/a?b=c",
};
export const POST = { ...GET, ":method": "POST" };

export interface H2Conversation {
  readonly guest: H2Peer;
  readonly server: H2Peer;
  readonly exchanges: Exchange[];
  readonly ends: RelayEnd[];
  readonly closed: Promise<void>;
}

/** Neither has said a word. */
export function silent(spec: Partial<RelaySpec> = {}): H2Conversation {
  const [guestEnd, guestSide] = pair();
  const [serverEnd, serverSide] = pair();
  const exchanges: Exchange[] = [];
  const ends: RelayEnd[] = [];
  const closed = relay({
    guest: guestSide,
    upstream: { kind: "open", stream: serverSide },
    protocol: "h2",
    destination: { scheme: "https", host: "api.allowed.test", port: 443 },
    gate: () => PASS,
    onExchange: (exchange) => exchanges.push(exchange),
    onEnd: (end) => ends.push(end),
    ...spec,
  });
  const guest = new H2Peer(guestEnd, "client");
  const server = new H2Peer(serverEnd, "server");
  return { guest, server, exchanges, ends, closed };
}

/** Both have said their first words. */
export async function converse(
  spec: Partial<RelaySpec> = {},
  settings: [number, number][] = [],
): Promise<H2Conversation> {
  const conversation = silent(spec);
  const { guest, server } = conversation;
  server.greet("server", settings);
  guest.greet("client");
  if (spec.upstream === undefined) await server.hears("settings");
  await guest.hears("settings");
  return conversation;
}
