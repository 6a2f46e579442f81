/**
 * The tarballs of a release: whole, the same twice, and good for somebody who is not root. Run by
 * scripts/test-release, after a release was made.
 */
import { expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import { chownSync, globSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import process from "node:process";
import { verifySignature } from "../../scripts/signature/verify.ts";
import { ordinaryUser } from "../support/ordinary_user.ts";
import { run } from "../support/process.ts";

const AS_NOBODY = ordinaryUser(65534);

async function unpacked<T>(name: string, use: (directory: string) => Promise<T> | T): Promise<T> {
  const above = mkdtempSync(join(tmpdir(), "sbx-tarball-"));
  try {
    chownSync(above, 65534, 65534);
    const [file = ""] = globSync(`dist/release/sbx-*-${name}.tar.gz`);
    const argv = [...AS_NOBODY, "tar", "-xzf", resolve(file), "-C", above];
    expect((await run(argv)).status).toBe(0);
    const [directory = ""] = globSync("*", { cwd: above });
    return await use(join(above, directory));
  } finally {
    rmSync(above, { recursive: true, force: true });
  }
}

test("every file has the digest that SHA256SUMS says, and none is missing there", async () => {
  const { status } = await run(["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], {
    cwd: "dist/release",
    limit: 600,
  });
  expect(status).toBe(0);
  const listed = readFileSync("dist/release/SHA256SUMS", "utf8").trim().split("\n")
    .map((line) => line.slice(66));
  const there = globSync("**/*.*", { cwd: "dist/release" });
  expect(listed.sort()).toEqual(there.sort());
}, 700_000);

test("either compression has the same in it", async () => {
  const digests = async (file: string) =>
    (await run(["sh", "-c", `tar -xOf "$1" | sha256sum`, "sh", file], { limit: 300 })).stdout;
  const [file = ""] = globSync(`dist/release/sbx-*-linux-${process.arch}.tar.gz`);
  expect(await digests(file)).toBe(await digests(file.replace(/gz$/, "xz")));
}, 600_000);

test("unpacked by another user, the tarball of this machine runs its first command", async () => {
  await unpacked(`linux-${process.arch}`, async (directory) => {
    const env = {
      HOME: directory,
      XDG_CACHE_HOME: join(directory, "cache"),
      XDG_DATA_HOME: directory,
    };
    const argv = [
      ...AS_NOBODY,
      "./sbx",
      "run",
      "-q",
      "--policy",
      "public-only",
      "--",
      "uname",
      "-s",
    ];
    const { status, stdout } = await run(argv, { cwd: directory, env, limit: 300 });
    expect([status, stdout]).toEqual([0, "Linux\n"]);
  });
}, 400_000);

const EMULATOR = "qemu-aarch64-static";

test.skipIf(process.arch === "arm64")(
  "unpacked by another user, the tarball for arm64 runs where its processor is emulated",
  async () => {
    await unpacked("linux-arm64", async (directory) => {
      const sbx = (...args: readonly string[]) =>
        run([...AS_NOBODY, EMULATOR, "-L", "/usr/aarch64-linux-gnu", "./sbx", ...args], {
          cwd: directory,
          env: { HOME: directory, XDG_CACHE_HOME: join(directory, "cache") },
          limit: 280,
        });
      expect((await sbx("version")).stdout).toMatch(/^kernel +linux-image-\S+-arm64_/m);
      expect(await sbx("policy", "explain", "public-only", "tcp://10.0.0.5:80"))
        .toMatchObject({ status: 0, stdout: expect.stringMatching(/^deny: rule 1/m) });
    });
  },
  600_000,
);

test.each(["darwin-x64", "darwin-arm64"])("each page of %s is as it was signed", async (name) => {
  await unpacked(name, (directory) => {
    const { identifier, isAdHoc, pages, spoilt } = verifySignature(
      Buffer.from(readFileSync(join(directory, "sbx"))),
    );
    expect({ identifier, isAdHoc, spoilt }).toEqual({
      identifier: "sbx",
      isAdHoc: true,
      spoilt: [],
    });
    expect(pages).toBeGreaterThan(20_000);
  });
}, 200_000);
