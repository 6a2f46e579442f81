import { expect, test } from "bun:test";
import { configured } from "../../lib/guest/lima/configure.ts";

type Config = Readonly<Record<string, unknown>>;
const of = (config: Config, authority: readonly string[] = []) =>
  configured({ name: "dev", memory: 5, config }, authority) as {
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

test("authorities are added once, beside the user's own", () => {
  const once = of({ caCerts: { files: ["/a"], certs: ["own"] } }, ["ours"]);
  const twice = of(once.config, ["ours"]);
  expect(twice.config["caCerts"]).toEqual({ files: ["/a"], certs: ["own", "ours"] });
  expect(of({ caCerts: null }).config["caCerts"]).toEqual({ certs: [] });
});
