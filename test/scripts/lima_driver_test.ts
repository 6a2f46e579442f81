/** Lima's driver as packages have it: whose sbx it asks, and what it becomes. */
import { afterAll, expect, test } from "bun:test";
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { LIMA_DRIVER } from "../../scripts/packages/documents.ts";
import { run } from "../support/process.ts";

const scratch = mkdtempSync(join(tmpdir(), "sbx-driver-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

function write(path: string, text: string, mode: number): string {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text, { mode });
  return path;
}

/** Says which driver it was, and with which arguments it was started. */
const PROGRAM = '#!/bin/sh\nprintf "%s\\n" "$0" "$@"\n';

test.each([
  ["a tarball", "it's sbx-1.0/lima-driver-sbx", "it's sbx-1.0/sbx"],
  ["Debian's package", "debian/usr/lib/lima/lima-driver-sbx", "debian/usr/bin/sbx"],
])("in %s it becomes what the sbx of its package carries", async (_, ownPath, sbxPath) => {
  const own = join(scratch, ownPath);
  mkdirSync(dirname(own), { recursive: true });
  cpSync(LIMA_DRIVER, own);
  const link = join(scratch, `${dirname(sbxPath).split("/")[0]} link`);
  symlinkSync(own, link);
  // Another sbx stands where the caller is, and on the PATH.
  const elsewhere = dirname(
    write(join(scratch, "elsewhere/sbx"), "#!/bin/sh\necho wrong\n", 0o755),
  );
  const env = { PATH: `${elsewhere}:/usr/bin:/bin` };
  const start = () => run([link, "--inst-dir", "a b"], { cwd: elsewhere, env });

  const none = await start();
  expect([none.status, none.stdout]).toEqual([1, ""]);
  expect(none.stderr).toBe(`lima-driver-sbx: cannot serve: there is no sbx beside ${own}\n`);

  const driver = write(join(scratch, "unpacked/lima-driver"), PROGRAM, 0o755);
  const sbx = join(scratch, sbxPath);
  write(sbx, `#!/bin/sh\n[ "$*" = "lima-guest driver" ] && echo '${driver}'\n`, 0o755);
  const { status, stdout } = await start();
  const [said, flag, named, ...rest] = stdout.split("\n");
  expect([status, said, flag, ...rest]).toEqual([0, driver, "--sbx", "--inst-dir", "a b", ""]);
  expect((await run(["realpath", named ?? ""])).stdout).toBe(`${sbx}\n`);

  write(sbx, "#!/bin/sh\nexit 125\n", 0o755);
  const failed = await start();
  expect([failed.status, failed.stdout]).toEqual([1, ""]);
  expect(failed.stderr).toContain("does not say where its driver is");
});
