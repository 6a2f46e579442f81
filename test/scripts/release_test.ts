import { afterAll, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { HERE } from "../../scripts/binary/target.ts";
import { archive } from "../../scripts/packages/archive.ts";
import { debianName, writeDebian } from "../../scripts/packages/debian.ts";
import { copyPages } from "../../scripts/packages/documents.ts";
import { provenance } from "../../scripts/packages/provenance.ts";
import { notesOf, readRelease, type Release } from "../../scripts/packages/release.ts";
import { billOfMaterials } from "../../scripts/packages/sbom.ts";
import { run } from "../support/process.ts";

const scratch = mkdtempSync(join(tmpdir(), "sbx-release-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const RELEASE: Release = {
  root: process.cwd(),
  version: "1.2.3-rc.1",
  commit: "0".repeat(40),
  time: 1_700_000_000,
  notes: "",
};

const digest = (path: string) => createHash("sha256").update(readFileSync(path)).digest("hex");

test("a version's notes are its section; a pre-release has those of what comes", () => {
  const changelog =
    "# Changelog\n\n## Unreleased\n\n- new\n\n## 0.2.0 (2026-01-01)\n\n- old\n\n### More\n\n- x\n\n## 0.1.0\n";
  expect(notesOf(changelog, "0.2.0")).toBe("- old\n\n### More\n\n- x\n");
  expect(notesOf(changelog, "0.3.0-rc.1")).toBe("- new\n");
  expect(() => notesOf(changelog, "0.3.0")).toThrow("CHANGELOG.md has no section of it");
  expect(() => notesOf(changelog, "0.2")).toThrow("no section");
});

test("a release is of what is committed, and of the version that the sources say", async () => {
  const root = join(scratch, "repository");
  mkdirSync(root);
  writeFileSync(join(root, "deno.json"), '{ "version": "0.2.0" }');
  writeFileSync(join(root, "CHANGELOG.md"), "## 0.2.0\n\n- it is there\n");
  const git = "git -c user.name=x -c user.email=x@y -c commit.gpgsign=false";
  const made = await run(["sh", "-c", `git init -q && git add . && ${git} commit -qm x`], {
    cwd: root,
  });
  expect(made.status).toBe(0);
  expect(readRelease(root, "0.2.0", false)).toMatchObject({
    version: "0.2.0",
    notes: "- it is there\n",
  });
  expect(() => readRelease(root, "0.2.1", false)).toThrow("deno.json says 0.2.0");
  for (const version of ["", "v0.2.0", "0.2", "0.2.0-rc.1;x", "../0.2.0"]) {
    expect(() => readRelease(root, version, false)).toThrow("it is no version");
  }
  writeFileSync(join(root, "new"), "");
  expect(() => readRelease(root, "0.2.0", false)).toThrow(/not committed:\n\?\? new/);
  expect(readRelease(root, "0.2.0", true).version).toBe("0.2.0");
});

test("an archive has the same bytes whoever makes it, when and in which order", async () => {
  const digests: string[][] = [];
  for (const [index, umask] of [0o022, 0o077].entries()) {
    const above = join(scratch, `made${index}`);
    const directory = join(above, "sbx-1.2.3");
    mkdirSync(directory, { recursive: true });
    const names = index === 0 ? ["a", "b"] : ["b", "a"];
    for (const name of names) {
      writeFileSync(join(directory, name), name);
      chmodSync(join(directory, name), (name === "a" ? 0o777 : 0o666) & ~umask);
      utimesSync(join(directory, name), index, index);
    }
    const outs = ["gz", "xz"].map((compression) => join(above, `out.tar.${compression}`));
    if (index === 1) process.env["XZ_DEFAULTS"] = "--check=none";
    for (const machine of ["x64", "arm64"] as const) {
      await archive(directory, outs, RELEASE.time, machine);
      digests[index] = [...digests[index] ?? [], ...outs.map(digest)];
    }
    delete process.env["XZ_DEFAULTS"];
  }
  expect(new Set(digests.map(String)).size).toBe(1);
});

test("a link is nothing that an archive may have", async () => {
  const directory = join(scratch, "linked");
  mkdirSync(directory);
  symlinkSync("/etc/passwd", join(directory, "a"));
  await expect(archive(directory, [join(scratch, "out.tar.gz")], 0)).rejects.toThrow(
    "Cannot archive",
  );
});

test("what the pages of a package link to is in it", () => {
  const directory = join(scratch, "pages");
  mkdirSync(directory);
  copyPages(RELEASE.root, directory);
  const links = globSync("**/*.md", { cwd: directory }).flatMap((page) =>
    [...readFileSync(join(directory, page), "utf8").matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)]
      .map(([, target = ""]) => join(dirname(page), target))
  );
  expect(links.length).toBeGreaterThan(50);
  expect(links.filter((path) => path !== "LICENSE" && !existsSync(join(directory, path)))).toEqual(
    [],
  );
});

test("the Debian package has its files where Debian looks for them, and runs nothing", async () => {
  const binary = join(scratch, "sbx");
  copyFileSync("/bin/true", binary);
  const places = { binary, work: scratch, out: scratch };
  const file = join(scratch, debianName(RELEASE, HERE));
  await writeDebian(RELEASE, HERE, places);
  const first = digest(file);
  await writeDebian(RELEASE, HERE, places);
  expect(digest(file)).toBe(first);
  const [listed, control, scripts] = await Promise.all([
    run(["dpkg-deb", "--contents", file]),
    run(["dpkg-deb", "--field", file, "Package", "Version", "Depends"]),
    run(["dpkg-deb", "--ctrl-tarfile", file]),
  ]);
  const modes = new Map(
    listed.stdout.trim().split("\n").map((line) => line.split(/\s+/))
      .map((words) => [words[5] ?? "", `${words[0]} ${words[1]}`]),
  );
  for (const [path, mode] of modes) {
    const expected = path.endsWith("/")
      ? "drwxr-xr-x"
      : ["./usr/bin/sbx", "./usr/lib/lima/lima-driver-sbx"].includes(path)
      ? "-rwxr-xr-x"
      : "-rw-r--r--";
    expect([path, mode]).toEqual([path, `${expected} root/root`]);
  }
  const wanted = [
    "./usr/bin/sbx",
    "./usr/share/man/man1/sbx.1.gz",
    "./usr/share/man/man1/sbx-policy-check.1.gz",
    "./usr/share/bash-completion/completions/sbx",
    "./usr/share/zsh/vendor-completions/_sbx",
    "./usr/share/fish/vendor_completions.d/sbx.fish",
    "./usr/share/doc/sbx/copyright",
    "./usr/share/doc/sbx/NOTICES.gz",
  ];
  expect(wanted.filter((path) => !modes.has(path))).toEqual([]);
  const qemu = HERE.machine === "x64" ? "qemu-system-x86" : "qemu-system-arm";
  expect(control.stdout).toBe(
    `Package: sbx\nVersion: 1.2.3~rc.1-1\nDepends: ${qemu}, libc6 (>= 2.17)\n`,
  );
  expect(scripts.stdout).toContain("./control\0");
  expect(scripts.stdout).not.toMatch(/\.\/(?:pre|post)(?:inst|rm)\0/);
});

test("the bill of materials has each part once, with a name that registries know", () => {
  const { components, ...rest } = billOfMaterials(RELEASE, [HERE]) as {
    readonly components: readonly { readonly purl: string; readonly "bom-ref": string }[];
  };
  expect(rest).toMatchObject({ bomFormat: "CycloneDX", specVersion: "1.5" });
  expect(new Set(components.map((each) => each["bom-ref"])).size).toBe(components.length);
  for (const { purl } of components) expect(purl).toMatch(/^pkg:(?:npm|golang|deb)\/[^@\s]+@\S+$/);
  const names = components.map(({ purl }) => purl.replace(/@[^@]*$/, ""));
  for (
    const name of ["pkg:npm/zod", "pkg:npm/bun", "pkg:golang/gvisor.dev/gvisor", "pkg:golang/std"]
  ) {
    expect(names).toContain(name);
  }
  expect(names.some((name) => name.startsWith("pkg:deb/debian/linux-image-"))).toBe(true);
  expect(billOfMaterials(RELEASE, [HERE])).toEqual({ components, ...rest });
});

test("the provenance names each file, and what it was made from by digest", () => {
  const { subject, predicate } = provenance(RELEASE, [{ name: "a", sha256: "b" }]) as {
    readonly subject: unknown;
    readonly predicate: {
      readonly buildDefinition: {
        readonly resolvedDependencies: readonly { readonly uri: string; readonly digest: object }[];
      };
    };
  };
  expect(subject).toEqual([{ name: "a", digest: { sha256: "b" } }]);
  const sources = predicate.buildDefinition.resolvedDependencies;
  expect(sources[0]?.digest).toEqual({ gitCommit: RELEASE.commit });
  expect(sources.filter(({ uri }) => uri.startsWith("pkg:npm/%40oven/bun-")).length).toBe(5);
  expect(sources.filter(({ uri }) => uri.startsWith("pkg:deb/debian/linux-image-")).length).toBe(2);
  for (const { digest } of sources) expect(Object.values(digest)[0]).toMatch(/^[0-9a-f]{40,128}$/);
});
