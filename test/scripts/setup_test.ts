import { afterEach, expect, test } from "bun:test";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { ordinaryUser } from "../support/ordinary_user.ts";
import { run } from "../support/process.ts";

const cleanups: (() => void)[] = [];
afterEach(() => cleanups.splice(0).forEach((clean) => clean()));

/** A checkout with nothing set up, in a directory whose name no script expects. */
function checkout(): string {
  const root = join(mkdtempSync(join(tmpdir(), "sbx-setup-")), "a näme");
  cleanups.push(() => rmSync(join(root, ".."), { recursive: true, force: true }));
  mkdirSync(root);
  for (const path of ["scripts", "deno.json", "deno.lock", "vendor/kernel"]) {
    cpSync(path, join(root, path), { recursive: true });
  }
  for (const path of [join(root, ".."), root]) chmodSync(path, 0o777);
  return root;
}

/** A PATH with everything of this machine but some programs. */
function pathWithout(...missing: string[]): string {
  const bin = mkdtempSync(join(tmpdir(), "sbx-path-"));
  cleanups.push(() => rmSync(bin, { recursive: true, force: true }));
  chmodSync(bin, 0o755);
  for (const directory of ["/usr/bin", "/usr/sbin"]) {
    for (const name of readdirSync(directory)) {
      if (missing.some((start) => name.startsWith(start)) || existsSync(join(bin, name))) continue;
      symlinkSync(join(directory, name), join(bin, name));
    }
  }
  return bin;
}

const asNobody = ordinaryUser(65534);

test("without root, set-up names the one apt command that it needs and changes nothing", async () => {
  const root = checkout();
  const { status, stderr } = await run([...asNobody, join(root, "scripts/setup")], {
    env: { PATH: pathWithout("qemu-", "sudo"), HOME: root },
  });
  expect(status).toBe(1);
  expect(stderr).toContain("takes root");
  const qemu = process.arch === "arm64" ? "qemu-system-arm" : "qemu-system-x86";
  expect(stderr.match(/sudo sh -c '.*'/g)).toEqual([
    `sudo sh -c 'apt-get update && apt-get install -y --no-install-recommends ${qemu}'`,
  ]);
  expect(readdirSync(join(root, ".cache"))).toEqual(["setup.lock"]);
});

test("with a sudo that asks nothing, set-up installs, and refreshes stale lists before it gives up", async () => {
  const root = checkout();
  const bin = pathWithout("qemu-", "sudo", "apt-get");
  const log = join(root, "log");
  // What is said to them is all that can be seen of them without changing this machine.
  writeFileSync(join(bin, "sudo"), `#!/bin/sh\necho sudo "$1" >>'${log}'; shift; exec "$@"\n`);
  writeFileSync(
    join(bin, "apt-get"),
    `#!/bin/sh\necho apt-get "$@" >>'${log}'; echo broken; exit 1\n`,
  );
  for (const name of ["sudo", "apt-get"]) chmodSync(join(bin, name), 0o755);
  const { status, stderr } = await run([...asNobody, join(root, "scripts/setup")], {
    env: { PATH: bin, HOME: root },
  });
  const qemu = process.arch === "arm64" ? "qemu-system-arm" : "qemu-system-x86";
  const install = `apt-get install -y --no-install-recommends ${qemu} -q`;
  expect(readFileSync(log, "utf8").split("\n")).toEqual([
    ...["sudo -n", "sudo -n", install],
    ...["sudo -n", "apt-get update -q"],
    ...["sudo -n", install, ""],
  ]);
  expect(status).toBe(1);
  expect(stderr).toContain("broken\n");
  expect(stderr).toContain(`apt-get could not install ${qemu}`);
  expect(existsSync(join(root, ".cache/env"))).toBe(false);
});

test("a registry that sends something else is refused before anything is unpacked", async () => {
  const asked: string[] = [];
  const registry = createServer((request, response) => {
    asked.push(request.url ?? "");
    response.end("not a package");
  });
  await new Promise<void>((resolve) => registry.listen(0, "127.0.0.1", resolve));
  cleanups.push(() => registry.close());
  const root = checkout();
  const { status, stderr } = await run([join(root, "scripts/setup")], {
    env: {
      NPM_CONFIG_REGISTRY: `http://127.0.0.1:${(registry.address() as AddressInfo).port}/npm/`,
      npm_config_registry: "",
      no_proxy: "127.0.0.1",
    },
  });
  expect(status).toBe(1);
  expect(asked).toEqual([
    expect.stringMatching(/^\/npm\/@oven\/bun-linux-[^/]*\/-\/bun-linux-.*\.tgz$/),
  ]);
  expect(stderr).toMatch(
    /set-up failed at "bun .* from npm"\n {2}why: .*toolchain\.lock pins.*\n {2}then: /,
  );
  expect(readdirSync(join(root, ".cache/download"))).toEqual([]);
  expect(existsSync(join(root, ".cache/tool"))).toBe(false);
});
