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
import { LINUX_QEMU } from "../../lib/host/linux/qemu.ts";
import { MAC_QEMU } from "../../lib/host/macos/qemu.ts";

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
  expect(findQemu("x64", LINUX_QEMU, [], path("empty", "plain", "project/bin", "system")))
    .toBe(join(project, "bin", NAME));
  expect(findQemu("x64", LINUX_QEMU, [], path("link", "system"))).toBe(join(place, "link", NAME));
});

test("one that a guest could have put there does not, under whatever name", () => {
  process.chdir("/");
  for (const first of ["project/bin", "link", "links"]) {
    expect(findQemu("x64", LINUX_QEMU, [project], path(first, "system"))).toBe(system);
    expect(() => findQemu("x64", LINUX_QEMU, [project], path(first))).toThrow(
      `Cannot start a guest: ${NAME} is only in ${
        join(place, first)
      }, where a guest could have put it`,
    );
  }
  process.chdir(project);
  expect(findQemu("x64", LINUX_QEMU, [], path("project/bin", "link", "./bin", ".", "system"))).toBe(
    system,
  );
  expect(findQemu("x64", LINUX_QEMU, [], `:bin:${system.slice(0, -NAME.length)}`)).toBe(
    join(system),
  );
});

test("without one that is said", () => {
  expect(() => findQemu("arm64", LINUX_QEMU, [], path("system"))).toThrow(
    "Cannot start a guest: qemu-system-aarch64 is not on the PATH",
  );
});

test("on a Mac it is looked for where Homebrew puts it, too", () => {
  process.chdir("/");
  const places = [join(place, "brew"), join(place, "system")];
  expect(findQemu("x64", { ...MAC_QEMU, places }, [], path("empty"))).toBe(system);
  expect(findQemu("x64", { ...MAC_QEMU, places }, [], path("project/bin"))).toBe(
    join(project, "bin", NAME),
  );
  const trusting = { ...MAC_QEMU, places: [join(project, "bin")] };
  expect(() => findQemu("x64", trusting, [project], path("empty"))).toThrow("is only in");
  const cannot = () => findQemu("arm64", { ...MAC_QEMU, places }, [], path("empty"));
  expect(cannot).toThrow(
    `Cannot start a guest: qemu-system-aarch64 is neither on the PATH nor in ${places.join(", ")}`,
  );
  expect(errorOf(cannot)).toMatchObject({
    code: "REQUIREMENT_MISSING",
    hint: "install QEMU 7.2 or newer: with 'brew install qemu'",
  });
});

function errorOf(step: () => unknown): unknown {
  try {
    return step();
  } catch (error) {
    return error;
  }
}
