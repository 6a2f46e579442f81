import { expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { trusted } from "../../lib/guest/lima/trusted.ts";
import { configured } from "../../lib/guest/lima/configure.ts";

type Config = Readonly<Record<string, unknown>>;
const of = (
  config: Config,
  authority: readonly string[] = [],
  placeholders?: Readonly<Record<string, string>>,
) =>
  configured(
    { name: "dev", memory: 5, config },
    { authority, ...(placeholders === undefined ? {} : { placeholders }) },
  ) as {
    readonly memory: number;
    readonly config: Config;
  };

test("a guest asks the gateway for names, and Lima offers none of its own", () => {
  const { config, memory } = of({ hostResolver: { enabled: true, ipv6: true }, cpus: 4 });
  expect(memory).toBe(5);
  expect(config).toMatchObject({
    dns: ["192.168.5.2"],
    hostResolver: { enabled: false, ipv6: true },
    propagateProxyEnv: false,
    mountType: "reverse-sshfs",
    cpus: 4,
  });
});

test("what the user chose of these stays", () => {
  const { config } = of({ dns: ["9.9.9.9"], mountType: "9p" });
  expect(config).toMatchObject({ dns: ["9.9.9.9"], mountType: "9p" });
});

test("authorities are those in force, once, beside the user's own", () => {
  const once = of({ caCerts: { files: ["/a"], certs: ["own"] } }, ["former"]);
  for (const authority of [["ours"], ["ours"], []]) {
    expect(of(once.config, authority).config["caCerts"]).toEqual({
      files: ["/a"],
      certs: ["own", ...authority.map(trusted)],
    });
  }
  expect(of({ caCerts: null }).config["caCerts"]).toEqual({ certs: [] });
});

/** What the script makes of a guest's files; the paths are those of a directory. */
function boot(root: string, config: Config): Readonly<Record<string, string>> {
  const scripts = config["provision"] as readonly {
    readonly mode: string;
    readonly script: string;
  }[];
  for (const { mode, script } of scripts) {
    expect(mode).toBe("system");
    const here = script.replaceAll("/etc/", `${root}/`);
    const { status, stderr } = spawnSync("sh", ["-c", here], { encoding: "utf8" });
    expect([status, stderr]).toEqual([0, ""]);
  }
  const read = (name: string) => {
    const path = join(root, name);
    return existsSync(path) ? readFileSync(path, "utf8") : "";
  };
  return { environment: read("environment"), profile: read("profile.d/sbx.sh") };
}

test("programs find the placeholders of this boot, and of no earlier one", () => {
  const root = mkdtempSync(join(tmpdir(), "sbx-lima-"));
  try {
    writeFileSync(join(root, "environment"), "OWN=1\n");
    const first = of({ provision: [] }, [], { KEY: "placeholder-one", OTHER: "x.y~z" });
    expect(boot(root, first.config)).toEqual({
      environment: "OWN=1\n#SBX-START\nKEY=placeholder-one\nOTHER=x.y~z\n#SBX-END\n",
      profile: "export KEY=placeholder-one\nexport OTHER=x.y~z\n",
    });
    // Lima may hand back what it was given before.
    const second = of(first.config, [], { KEY: "placeholder-two" });
    expect(boot(root, second.config)).toEqual({
      environment: "OWN=1\n#SBX-START\nKEY=placeholder-two\n#SBX-END\n",
      profile: "export KEY=placeholder-two\n",
    });
    expect(boot(root, of({}, [], {}).config)).toEqual({ environment: "OWN=1\n", profile: "" });
  } finally {
    rmSync(root, { recursive: true });
  }
});

test("a guest that never had secrets gets no script, and a user's own stay", () => {
  const own = { mode: "user", script: "#!/bin/sh\ntrue\n" };
  expect(of({ provision: [own] }).config["provision"]).toEqual([own]);
  const { config } = of({ provision: [own] }, [], { KEY: "x" });
  expect((config["provision"] as unknown[])[0]).toEqual(own);
});

test("nothing that a shell reads otherwise becomes a variable", () => {
  for (
    const [name, value] of [["A B", "x"], ["A", "x y"], ["A", "$(id)"], ["A", "x\ny"]] as const
  ) {
    expect(() => of({}, [], { [name]: value })).toThrow(TypeError);
  }
});
