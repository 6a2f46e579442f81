/**
 * What a release was made from: an in-toto statement with a predicate of SLSA. It is not signed; whoever
 * publishes signs it, or builds again and compares, which gives the same bytes.
 *
 * @module
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { globSync, readFileSync } from "node:fs";
import type { Release } from "./release.ts";

export interface Subject {
  readonly name: string;
  readonly sha256: string;
}

export function provenance(release: Release, subjects: readonly Subject[]): object {
  const { root, version, commit } = release;
  return {
    _type: "https://in-toto.io/Statement/v1",
    subject: subjects.map(({ name, sha256 }) => ({ name, digest: { sha256 } })),
    predicateType: "https://slsa.dev/provenance/v1",
    predicate: {
      buildDefinition: {
        buildType: "https://sbx.dev/build/release/v1",
        externalParameters: { command: `scripts/release ${version}` },
        internalParameters: {
          go: execFileSync("go", ["env", "GOVERSION"], { encoding: "utf8" }).trim(),
        },
        resolvedDependencies: [
          { uri: "git+https://sbx.dev", digest: { gitCommit: commit } },
          ...runtimes(root),
          ...kernels(root),
          ...locks(root),
        ],
      },
      runDetails: { builder: { id: "https://sbx.dev/build/local" } },
    },
  };
}

interface Dependency {
  readonly uri: string;
  readonly digest: Readonly<Record<string, string>>;
}

/** Bun's builds, as toolchain.lock pins them. */
function runtimes(root: string): readonly Dependency[] {
  const lock = readFileSync(`${root}/scripts/toolchain/toolchain.lock`, "utf8");
  return lock.split("\n").filter((line) => line.startsWith("bun ")).map((line) => {
    const [, , version = "", , name = "", digest = ""] = line.split(/\s+/);
    const [algorithm = "", hex = ""] = digest.split(":");
    return { uri: `pkg:npm/${name.replace("@", "%40")}@${version}`, digest: { [algorithm]: hex } };
  });
}

/** The packages of the guests' kernels, as kernel.lock pins them. */
function kernels(root: string): readonly Dependency[] {
  const lock = readFileSync(`${root}/vendor/kernel/kernel.lock`, "utf8");
  return lock.split("\n").filter((line) => /^[a-z]/.test(line)).map((line) => {
    const [distribution, arch, name, version, sha256 = ""] = line.split(/\s+/);
    return { uri: `pkg:deb/${distribution}/${name}@${version}?arch=${arch}`, digest: { sha256 } };
  });
}

/** Everything else is pinned by what these files say. */
function locks(root: string): readonly Dependency[] {
  return ["deno.lock", ...globSync("vendor/*/go.sum", { cwd: root }).sort()].map((path) => ({
    uri: `file:${path}`,
    digest: { sha256: createHash("sha256").update(readFileSync(`${root}/${path}`)).digest("hex") },
  }));
}
