/**
 * What is known of a sandbox, in words.
 *
 * @module
 */
import { escapeText } from "../../base/escape.ts";
import type { PublishedPort, SandboxInfo } from "../../mod.ts";

/** "running 5m", "stopped 2h ago (status 1)". */
export function statusText({ status, sinceMs, exit }: SandboxInfo): string {
  switch (status) {
    case "created":
      return "created";
    case "starting":
    case "running":
      return `${status} ${agoText(sinceMs)}`;
    case "lost":
      return "lost: it was ended from outside";
    default: {
      const how = exit === undefined
        ? ""
        : exit.signal === undefined
        ? ` (status ${exit.code ?? 0})`
        : ` (signal ${exit.signal})`;
      return `${status} ${agoText(sinceMs)} ago${how}`;
    }
  }
}

const UNITS = [["d", 86_400_000], ["h", 3_600_000], ["m", 60_000], ["s", 1_000]] as const;

/** How long ago, in the largest unit that fits. */
export function agoText(ms: number): string {
  const passed = Math.max(0, Date.now() - ms);
  for (const [unit, size] of UNITS) {
    if (passed >= size) return `${Math.floor(passed / size)}${unit}`;
  }
  return "0s";
}

export function portsText(ports: readonly PublishedPort[]): string {
  const texts = ports.map(({ address, port, guestPort, protocol, keptFor }) => {
    const host = address.includes(":") ? `[${address}]` : address;
    const whose = keptFor === "lima" ? " (Lima's SSH)" : "";
    return `${host}:${port}->${guestPort}${protocol === "udp" ? "/udp" : ""}${whose}`;
  });
  return texts.join(", ");
}

const LONGEST_COMMAND = 40;

export function commandText(argv: readonly string[] | undefined): string {
  const text = escapeText((argv ?? []).join(" "));
  return text.length <= LONGEST_COMMAND ? text : `${text.slice(0, LONGEST_COMMAND - 1)}…`;
}
