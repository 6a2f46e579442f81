/**
 * Published ports: how they are typed after `-p`, and how they are told of when they listen.
 *
 * @module
 */
import { parseAddress } from "../base/address.ts";
import { quote } from "../base/escape.ts";
import type { Publication, PublishedPort } from "../mod.ts";
import { usage } from "./values.ts";

/** Each takes two sockets of this machine; a range of more is most likely a slip. */
const MAX_PORTS = 1024;

const PUBLICATION =
  /^(?:(?:(\[[^\]]*\]|[^:[\]]+):(?=[\d-]*:))?([\d-]*):)?([\d-]+)(?:\/(tcp|udp))?$/;

/**
 * `[[BIND:][HOST]:]GUEST[/tcp|udp]`; IPv6 binds in brackets. Without HOST, or with 0, the system chooses a
 * port. HOST and GUEST can be ranges of the same length, FROM-TO; one publication for each port.
 */
export function parsePublications(text: string): Publication[] {
  const hint =
    "write it like 8080:80, 80, 8000-8010:9000-9010, 0.0.0.0:8080:80, [::1]:8080:80 or 5353:53/udp";
  const refuse = (state: string) => usage("--publish", text, state, hint);
  const [, bind, host, guest, protocol] = PUBLICATION.exec(text) ?? [];
  const guests = guest === undefined ? null : readPorts(guest);
  const hosts = readPorts(host || "0");
  if (guests === null || hosts === null || host === "" && bind === undefined) {
    throw refuse("not [[BIND:]HOST:]GUEST[/tcp|udp]");
  }
  for (const { from, to } of [hosts, guests]) {
    if (to > 65535) throw usage("--publish", text, `port ${to} is above 65535`);
    if (from > to) throw refuse(`the range ${from}-${to} is empty`);
    if (to - from >= MAX_PORTS) throw refuse(`a range has at most ${MAX_PORTS} ports`);
  }
  const { from, to } = guests;
  if (from === 0) throw refuse("the guest's port cannot be 0");
  const isChosen = hosts.from === 0 && hosts.to === 0;
  if (!isChosen && hosts.from === 0) throw refuse("the ports of a range are above 0");
  if (!isChosen && hosts.to - hosts.from !== to - from) {
    throw refuse("the two ranges differ in length");
  }
  const address = bind === undefined ? undefined : parseAddress(bind.replace(/^\[|\]$/g, ""));
  if (address === null) throw refuse(`${quote(bind ?? "")} is no address to listen on`);
  return Array.from({ length: to - from + 1 }, (_, index) => ({
    hostPort: isChosen ? 0 : hosts.from + index,
    guestPort: from + index,
    protocol: protocol === "udp" ? "udp" : "tcp",
    ...(address === undefined ? {} : { bind: address.text }),
  }));
}

interface Range {
  readonly from: number;
  readonly to: number;
}

/** `N` or `N-M`. */
function readPorts(text: string): Range | null {
  const [, from, to] = /^(\d{1,9})(?:-(\d{1,9}))?$/.exec(text) ?? [];
  return from === undefined ? null : { from: Number(from), to: Number(to ?? from) };
}

/** What listens, in a line for each; ports that follow one another on both sides are a range. */
export function publishedLines(ports: readonly PublishedPort[]): string[] {
  const ranges: { first: PublishedPort; count: number }[] = [];
  // The same port listens on one address after the other.
  const byAddress = [...Map.groupBy(ports, ({ address }) => address).values()].flat();
  for (const port of byAddress) {
    const last = ranges.at(-1);
    if (last !== undefined && follows(last.first, last.count, port)) last.count++;
    else ranges.push({ first: port, count: 1 });
  }
  return ranges.map(({ first: { address, port, guestPort, protocol }, count }) => {
    const [here, there] = [port, guestPort].map((from) =>
      count === 1 ? `${from}` : `${from}-${from + count - 1}`
    );
    const ports = count === 1 ? "port" : "ports";
    return `published ${address} ${ports} ${here} to ${there}/${protocol} of the guest`;
  });
}

function follows(first: PublishedPort, count: number, next: PublishedPort): boolean {
  return next.address === first.address && next.protocol === first.protocol &&
    next.port === first.port + count && next.guestPort === first.guestPort + count;
}
