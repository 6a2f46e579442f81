/**
 * The bill of materials, in CycloneDX: all that the binaries of a release carry.
 *
 * @module
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import process from "node:process";
import { guestOf, partsOf, type Target } from "../binary/target.ts";
import { type Component, goModules, npmPackages } from "../licences/components.ts";
import { PROJECT } from "./project.ts";
import type { Release } from "./release.ts";

interface Material {
  readonly type: "library" | "application" | "operating-system";
  readonly name: string;
  readonly version: string;
  readonly purl: string;
  readonly "bom-ref": string;
}

/** The document, whose serial number is made of the release and not of chance. */
export function billOfMaterials(release: Release, targets: readonly Target[]): object {
  const { root, version, commit, time } = release;
  const own = material("application", "sbx", version, `pkg:generic/sbx@${version}`);
  return {
    bomFormat: "CycloneDX",
    specVersion: "1.5",
    serialNumber: `urn:uuid:${uuid(`${version} ${commit}`)}`,
    version: 1,
    metadata: {
      timestamp: new Date(time * 1000).toISOString(),
      component: { ...own, licenses: [{ license: { id: PROJECT.licence } }] },
    },
    components: [
      ...npmPackages(root).map(npmMaterial),
      ...goModules(root, programs(targets)).map(goMaterial),
      goRuntime(),
      material("library", "bun", bunVersion(), `pkg:npm/bun@${bunVersion()}`),
      ...kernels(root, targets),
    ],
  };
}

function programs(targets: readonly Target[]): readonly string[] {
  return targets.flatMap((target) => [
    `${partsOf(target)}/netstack`,
    `${partsOf(guestOf(target))}/agent`,
  ]);
}

function npmMaterial({ name, version }: Component): Material {
  return material("library", name, version, `pkg:npm/${name.replace("@", "%40")}@${version}`);
}

function goMaterial({ name, version }: Component): Material {
  return material("library", name, version, `pkg:golang/${name}@${version}`);
}

function goRuntime(): Material {
  const version = execFileSync("go", ["env", "GOVERSION"], { encoding: "utf8" }).trim().slice(2);
  return material("library", "std", version, `pkg:golang/std@${version}`);
}

function bunVersion(): string {
  return process.versions["bun"] ?? "unknown";
}

/** One for each machine of guests. */
function kernels(root: string, targets: readonly Target[]): readonly Material[] {
  return [...new Set(targets.map(({ machine }) => machine))].map((machine) => {
    const file = readFileSync(`${root}/.cache/kernel/${machine}/package`, "utf8").split("\n")[0] ??
      "";
    const [name = "", version = "", architecture = ""] = file.replace(/\.deb$/, "").split("_");
    const purl = `pkg:deb/debian/${name}@${version}?arch=${architecture}`;
    return material("operating-system", name, version, purl);
  });
}

function material(type: Material["type"], name: string, version: string, purl: string): Material {
  return { type, name, version, purl, "bom-ref": purl };
}

/** A version-8 UUID (RFC 9562) of a text. */
function uuid(text: string): string {
  const hex = createHash("sha256").update(text).digest("hex");
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`,
    `8${hex.slice(17, 20)}`,
    hex.slice(20, 32),
  ].join("-");
}
