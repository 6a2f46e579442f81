/**
 * A plan and its root with nothing of this machine in them.
 *
 * @module
 */
import type { GuestPlan } from "../../lib/guest/plan.ts";

export const PLAN: GuestPlan = {
  hostname: "box",
  machineId: "0123456789abcdef0123456789abcdef",
  cpus: 2,
  memoryMiB: 512,
  root: {
    shares: [{ path: "/srv/tree/usr", at: "/usr" }, { path: "/srv/tree/opt", at: "/opt" }],
    links: { bin: "usr/bin" },
    home: "/home/root",
    env: { PATH: "/usr/bin" },
    publicRoots: [],
    trustStores: { bundleLinks: ["/etc/ssl/cert.pem"] },
    entries: () => [{ path: "/etc/shells", data: new TextEncoder().encode("/bin/sh\n") }],
  },
  mounts: [
    { host: "/data/in", guest: "/in", readOnly: true },
    { host: "/data/out", guest: "/out", readOnly: false },
  ],
  files: [],
  template: false,
  trust: () => Promise.resolve({ roots: [] }),
};

export const NETWORK = {
  mac: "02:00:00:00:00:02",
  mtu: 1500,
  guest4: "192.0.2.2",
  gateway4: "192.0.2.1",
  guest6: "2001:db8::2",
  gateway6: "2001:db8::1",
  search: ["corp.example"],
};
