/**
 * The guest as a system: users, names, and packages that are installed into it.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PUBLIC } from "../support/places.ts";
import { openWorld, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world?.[Symbol.asyncDispose]());

const inGuest = (script: string, ...options: string[]) =>
  world.sbx(["run", "-q", ...options, "--", "sh", "-c", script]);

test("su becomes another user, and users can be added", async () => {
  const run = await inGuest(
    [
      "su nobody -s /bin/sh -c 'id -un; id -gn'",
      "useradd -m -s /bin/sh bob && su - bob -c 'pwd; touch f; ls -l f' | sed 's/ .* / /'",
      "su www-data -s /bin/sh -c id >/dev/null || echo no www-data",
      "grep -c . /etc/shells /etc/machine-id | sed 's/:[1-9].*/ ok/'",
      "stat -c %a /etc/shadow; cut -d: -f2 /etc/shadow | sort -u",
    ].join("\n"),
    "--no-net",
  );
  expect(run.stderr).toBe("");
  expect(run.stdout).toBe(
    "nobody\nnogroup\n/home/bob\n-rw-r--r-- f\n/etc/shells ok\n/etc/machine-id ok\n640\n!\n*\n",
  );
}, 120_000);

test("no people of the host are users of the guest", async () => {
  const people = readFileSync("/etc/passwd", "utf8").split("\n").map((line) => line.split(":"))
    .filter(([, , id]) => Number(id) >= 1000 && Number(id) !== 65534).map(([name]) => name);
  const run = await inGuest("cat /etc/passwd /etc/group /etc/shadow", "--no-net");
  for (const name of people) expect(run.stdout).not.toMatch(new RegExp(`^${name}:`, "m"));
}, 120_000);

test(
  "the guest's own name is known in both families, and no resolver is asked for it",
  async () => {
    await world.internet.reset();
    const run = await inGuest(
      "for f in ahostsv4 ahostsv6; do getent $f $(hostname) | head -1 | cut -d' ' -f1; done\n" +
        "for type in A AAAA; do dig +short $(hostname) $type; done",
      "--name",
      "nobody",
      "--hostname",
      "somebody.example",
    );
    expect(run.stdout).toBe("127.0.1.1\n::1\n127.0.1.1\n::1\n");
    expect((await world.internet.report()).queries).toEqual([]);
  },
  120_000,
);

const DEBIAN = existsSync("/var/lib/dpkg/status");

/** A package, and the repository that holds it and one that it needs. */
function repository(at: string): void {
  for (
    const [name, depends] of [["sbx-tool", "Depends: sbx-library\n"], ["sbx-library", ""]] as const
  ) {
    const tree = join(world.scratch, name);
    mkdirSync(join(tree, "DEBIAN"), { recursive: true });
    mkdirSync(join(tree, "usr/bin"), { recursive: true });
    mkdirSync(join(tree, "var/lib", name), { recursive: true });
    writeFileSync(
      join(tree, "DEBIAN/control"),
      `Package: ${name}\nVersion: 1\nArchitecture: all\nMaintainer: x <x@x.test>\n${depends}Description: x\n`,
    );
    writeFileSync(
      join(tree, "DEBIAN/postinst"),
      "#!/bin/sh\nset -e\nadduser --system sbx-daemon\n",
      {
        mode: 0o755,
      },
    );
    writeFileSync(join(tree, "usr/bin", name), `#!/bin/sh\necho ${name} runs\n`, { mode: 0o755 });
    execFileSync("dpkg-deb", ["--root-owner-group", "-b", tree, join(at, `${name}.deb`)]);
  }
  const index = ["sbx-tool", "sbx-library"].map((name) => {
    const file = join(at, `${name}.deb`);
    const control = execFileSync("dpkg-deb", ["-f", file], { encoding: "utf8" });
    const sum = execFileSync("sha256sum", [file], { encoding: "utf8" }).split(" ")[0];
    const size = readFileSync(file).length;
    return `${control}Filename: ./${name}.deb\nSize: ${size}\nSHA256: ${sum}\n`;
  });
  writeFileSync(join(at, "Packages"), index.join("\n"));
}

test.if(DEBIAN)("apt installs from an allowed mirror, and leaves nothing on the host", async () => {
  const at = join(world.files, "deb");
  mkdirSync(at);
  repository(at);
  const before = readFileSync("/var/lib/dpkg/status");
  const run = await inGuest(
    [
      "exec 2>&1; set -e",
      `echo 'deb [trusted=yes] http://${PUBLIC}/files/deb ./' > /etc/apt/sources.list`,
      "rm -f /etc/apt/sources.list.d/*",
      "apt-get update >/tmp/log || { cat /tmp/log; exit 1; }",
      "apt-get install -y sbx-tool >/tmp/log || { cat /tmp/log; exit 1; }",
      "sbx-tool; sbx-library; dpkg -s sbx-library | grep ^Status; id -u sbx-daemon >/dev/null && echo user",
      "dpkg --audit; dpkg -r sbx-tool >/dev/null; test -e /usr/bin/sbx-tool || echo removed",
    ].join("\n"),
    "--policy",
    "none",
    "--allow",
    `${PUBLIC}:80`,
  );
  expect(run.stdout).toBe(
    "sbx-tool runs\nsbx-library runs\nStatus: install ok installed\nuser\nremoved\n",
  );
  expect(readFileSync("/var/lib/dpkg/status")).toEqual(before);
  expect(existsSync("/usr/bin/sbx-tool")).toBe(false);
}, 180_000);
