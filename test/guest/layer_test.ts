import { afterAll, expect, test } from "bun:test";
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fitsLayer } from "../../lib/guest/root/layer.ts";

const tree = mkdtempSync(join(tmpdir(), "sbx-layer-"));
afterAll(() => rmSync(tree, { recursive: true }));

for (const name of ["plain/deep", "closed", "others"]) {
  mkdirSync(join(tree, name), { recursive: true });
  chmodSync(join(tree, name), 0o755);
}
chmodSync(join(tree, "plain"), 0o755);
chmodSync(join(tree, "closed"), 0o750);
symlinkSync("plain", join(tree, "link"));

const shares = [{ path: tree, at: "/usr" }, { path: join(tree, "plain"), at: "/usr/inner" }];
const whole = [{ path: tree, at: "/" }];
const isRoot = process.getuid?.() === 0;
if (isRoot) chownSync(join(tree, "others"), 1234, 1234);

test.each([
  ["/etc/file", true], // in no share
  ["/usr/file", true],
  ["/usr/none/deep/file", true],
  ["/usr/inner/deep/file", isRoot], // the inner share's
  ["/usr/plain/deep/file", isRoot],
  ["/usr/closed/file", false],
  ["/usr/link/file", false],
  ["/usr/link/deep/file", false],
  ["/usr/others/file", false],
])("below what would be hidden nothing is put before the share is there: %s %p", (path, fits) => {
  expect(fitsLayer(path, shares)).toBe(fits);
});

test.each([
  ["/file", true],
  ["/none/file", true],
  ["/plain/deep/file", isRoot],
  ["/link/deep/file", false],
  ["/closed/file", false],
])("the same holds below a share that is all of the root: %s %p", (path, fits) => {
  expect(fitsLayer(path, whole)).toBe(fits);
});
