/**
 * What a binary is built for. Its guests have the machine of their host, and run Linux.
 *
 * @module
 */
import { arch } from "node:os";

export interface Target {
  readonly os: "linux" | "darwin";
  readonly machine: "x64" | "arm64";
}

/** Every platform that releases are made for. */
export const TARGETS: readonly Target[] = [
  { os: "linux", machine: "x64" },
  { os: "linux", machine: "arm64" },
  { os: "darwin", machine: "x64" },
  { os: "darwin", machine: "arm64" },
];

/** What a checkout is built for: Linux on this machine. */
export const HERE: Target = { os: "linux", machine: arch() === "arm64" ? "arm64" : "x64" };

/** `linux-x64`, as npm and Bun spell it. */
export function nameOf({ os, machine }: Target): string {
  return `${os}-${machine}`;
}

/** The platform of the target's guests. */
export function guestOf({ machine }: Target): Target {
  return { os: "linux", machine };
}

/** Where the parts of a binary for the target are built, from the repository's root. */
export function partsOf(target: Target): string {
  return `vendor/bin/${nameOf(target)}`;
}

/** What makes the Go compiler build for the target. */
export function goEnvironment({ os, machine }: Target): Readonly<Record<string, string>> {
  return { GOOS: os, GOARCH: machine === "x64" ? "amd64" : "arm64", CGO_ENABLED: "0" };
}
