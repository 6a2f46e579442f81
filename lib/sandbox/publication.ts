/**
 * Publications as programs write them, checked before anybody listens; and which are to end.
 *
 * @module
 */
import { parseAddress } from "../base/address.ts";
import { quote } from "../base/escape.ts";
import { misuse, optionsOf } from "../base/misuse.ts";
import type { Publication, PublishedPort } from "./options.ts";

/** Which published port; an absent part may be any. */
export interface PortSelection {
  /** Of this machine. */
  readonly port: number;
  /** The address of this machine that it listens on. */
  readonly address?: string;
  /** What it leads to the guest. */
  readonly protocol?: "tcp" | "udp";
}

/** What was closed. */
export interface Unpublished {
  /** They listen no more. */
  readonly ports: readonly PublishedPort[];
  /** How many connections of theirs were cut. */
  readonly connections: number;
}

/** @throws SbxError USAGE */
export function requirePublication(
  publication: Publication,
  call: "publish" | "forward" = "publish",
): Publication {
  const { hostPort, guestPort, bind, protocol } = optionsOf(`${call}(…)`, publication, {
    bind: true,
    hostPort: true,
    guestPort: true,
    protocol: true,
  });
  const shown = `${call}(${hostPort} to ${guestPort})`;
  if (!isPort(hostPort) || !isPort(guestPort) || guestPort === 0) {
    throw misuse(shown, "ports are 1 to 65535, and 0 on the host lets the system choose");
  }
  if (bind !== undefined && parseAddress(bind) === null) {
    throw misuse(shown, `${quote(bind)} is no address to listen on`);
  }
  if (protocol !== "tcp" && protocol !== "udp") {
    throw misuse(`${call}(${quote(protocol)})`, "unknown word", { hint: "use one of tcp, udp" });
  }
  return publication;
}

function isPort(port: number): boolean {
  return Number.isInteger(port) && port >= 0 && port <= 65_535;
}
