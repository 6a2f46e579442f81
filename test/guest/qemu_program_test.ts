import { afterAll, expect, test } from "bun:test";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { findQemu } from "../../lib/guest/qemu/program.ts";

const place = realpathSync(mkdtempSync(join(tmpdir(), "sbx-path-")));
const before = process.cwd();
afterAll(() => {
  process.chdir(before);
  rmSync(place, { recursive: true });
});

const NAME = "qemu-system-x86_64";
for (const directory of ["system", "project/bin", "project/sub", "plain", "empty"]) {
  mkdirSync(join(place, directory), { recursive: true });
}
for (const directory of ["system", "project/bin", "plain"]) {
  writeFileSync(join(place, directory, NAME), "");
  chmodSync(join(place, directory, NAME), directory === "plain" ? 0o644 : 0o755);
}
symlinkSync("project/bin", join(place, "link"));
mkdirSync(join(place, "links"));
symlinkSync(`../project/bin/${NAME}`, join(place, "links", NAME));

const path = (...directories: readonly string[]) =>
  directories.map((directory) => directory.startsWith(".") ? directory : join(place, directory))
    .join(":");
const system = join(place, "system", NAME);
const project = join(place, "project");

test("the first QEMU on the PATH runs", () => {
  process.chdir("/");
  expect(findQemu("x64", [], path("empty", "plain", "project/bin", "system")))
    .toBe(join(project, "bin", NAME));
  expect(findQemu("x64", [], path("link", "system"))).toBe(join(place, "link", NAME));
});

test("one that a guest could have put there does not, under whatever name", () => {
  process.chdir("/");
  for (const first of ["project/bin", "link", "links"]) {
    expect(findQemu("x64", [project], path(first, "system"))).toBe(system);
    expect(() => findQemu("x64", [project], path(first))).toThrow(
      `Cannot start a guest: ${NAME} is only in ${
        join(place, first)
      }, where a guest could have put it`,
    );
  }
  process.chdir(project);
  expect(findQemu("x64", [], path("project/bin", "link", "./bin", ".", "system"))).toBe(system);
  expect(findQemu("x64", [], `:bin:${system.slice(0, -NAME.length)}`)).toBe(join(system));
});

test("without one that is said", () => {
  expect(() => findQemu("arm64", [], path("system"))).toThrow(
    "Cannot start a guest: qemu-system-aarch64 is not on the PATH",
  );
});
