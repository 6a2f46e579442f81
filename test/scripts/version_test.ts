import { expect, test } from "bun:test";
import process from "node:process";
import { run } from "../support/process.ts";

test("the programs of one build say one version", async () => {
  const netstack = `${process.cwd()}/vendor/bin/linux-${process.arch}/netstack`;
  const [sbx, inner] = await Promise.all([
    run([`${process.cwd()}/dist/sbx`, "version", "--json"]),
    run([netstack, "version"]),
  ]);
  const { sbx: version } = JSON.parse(sbx.stdout) as { readonly sbx: string };
  expect(version).toMatch(/^\d+\.\d+\.\d+/);
  expect([inner.status, inner.stdout]).toEqual([0, `${version}\n`]);
});
