/**
 * Files by which a guest knows who it is and whom it asks: one guest's own, in whatever root. Pure.
 *
 * @module
 */
import type { TarEntry } from "./root/tar.ts";

export interface GuestIdentity {
  /** May have several labels. */
  readonly hostname: string;
  /** 32 lower-case hexadecimal digits that no other guest has (machine-id(5)). */
  readonly machineId: string;
  /** Absent: the guest has no network. */
  readonly resolver?: string;
  /** Domains to append to bare names, in order. */
  readonly search: readonly string[];
}

/** Its resolver answers for every server: whatever address is asked, sbx does. */
export function ownEntries({ hostname, machineId, resolver, search }: GuestIdentity): TarEntry[] {
  const [first = ""] = hostname.split(".");
  const names = first === hostname ? hostname : `${hostname} ${first}`;
  const own: Readonly<Record<string, string>> = {
    "/etc/hostname": `${hostname}\n`,
    "/etc/hosts":
      `127.0.0.1 localhost\n::1 localhost ip6-localhost\n127.0.1.1 ${names}\n::1 ${names}\n`,
    "/etc/machine-id": `${machineId}\n`,
    "/etc/resolv.conf": resolver === undefined ? "" : resolvConf(resolver, search),
  };
  return Object.entries(own).map(([path, text]) => ({
    path,
    data: new TextEncoder().encode(text),
  }));
}

function resolvConf(resolver: string, search: readonly string[]): string {
  return `nameserver ${resolver}\n${search.length === 0 ? "" : `search ${search.join(" ")}\n`}`;
}
