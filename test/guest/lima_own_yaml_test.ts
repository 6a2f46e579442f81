import { expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "yaml";
import { trusted } from "../../lib/guest/lima/trusted.ts";
import { configuredYaml } from "../../lib/guest/lima/own_yaml.ts";
import { configureOwnYaml } from "../../lib/host/lima/own_yaml.ts";

const CERT = `-----BEGIN CERTIFICATE-----\n${"A".repeat(100)}\n-----END CERTIFICATE-----\n`;
const OTHER = CERT.replaceAll("A", "B");
const KEY = { API_KEY: "sbx-placeholder-1" };

const OWN = `# My guest, do not touch.
vmType: vz # Apple's
images:
  - location: "https://example.com/${"long".repeat(40)}.qcow2" # the image
    arch: 'aarch64'
hostResolver:
  ipv6: true # as everywhere
  enabled: true
provision:
  # installs what I need
  - mode: user
    script: |
      #!/bin/sh
      echo mine
`;

test("what a guest of sbx needs is there, once, however often it starts", () => {
  const once = configuredYaml(OWN, { authority: [CERT], placeholders: KEY });
  const { dns, hostResolver, propagateProxyEnv, caCerts, provision, vmType } = parse(once);
  expect({ dns, hostResolver, propagateProxyEnv, caCerts, vmType }).toEqual({
    dns: ["192.168.5.2"],
    hostResolver: { ipv6: true, enabled: false },
    propagateProxyEnv: false,
    caCerts: { certs: [trusted(CERT)] },
    vmType: "vz",
  });
  expect(provision).toHaveLength(2);
  expect(provision[0].script).toBe("#!/bin/sh\necho mine\n");
  expect(provision[1].script).toContain("API_KEY=sbx-placeholder-1");
  expect(configuredYaml(once, { authority: [CERT], placeholders: KEY })).toBe(once);
  const fewer = parse(configuredYaml(once, { authority: [], placeholders: {} }));
  expect(fewer.provision[1].script).not.toContain("API_KEY");
  expect(fewer.provision).toHaveLength(2);
});

test("certificates are those in force, and the user's own, whichever authority was there before", () => {
  const own = OWN + "caCerts: {certs: [mine]}\n";
  let text = own;
  for (const authority of [[CERT], [OTHER], [CERT, OTHER], [OTHER]]) {
    text = configuredYaml(text, { authority });
    expect(parse(text).caCerts).toEqual({ certs: ["mine", ...authority.map(trusted)] });
  }
  expect(parse(configuredYaml(text, { authority: [] })).caCerts).toEqual({ certs: ["mine"] });
  // One that the user has as well is the user's.
  const both = configuredYaml(OWN + `caCerts: {certs: [${JSON.stringify(CERT)}]}\n`, {
    authority: [CERT],
  });
  expect(parse(configuredYaml(both, { authority: [] })).caCerts).toEqual({ certs: [CERT] });
  expect(parse(configuredYaml(OWN, { authority: [] })).caCerts).toBeUndefined();
});

test("every line of the user's that is not about that stays, with its comments", () => {
  const lines = configuredYaml(OWN, { authority: [CERT], placeholders: KEY }).split("\n");
  const kept = OWN.split("\n").filter((line) => line !== "  enabled: true");
  expect(kept.filter((line) => !lines.includes(line))).toEqual([]);
});

test.each([
  ["resolvers of the user's stay", "dns: [9.9.9.9]", { dns: ["9.9.9.9"] }],
  ["null counts as nothing", "dns: null\nhostResolver:\ncaCerts:", { dns: ["192.168.5.2"] }],
  ["certificates of the user's stay", "caCerts: {files: [/a], certs: [own]}", {
    caCerts: { files: ["/a"], certs: ["own", trusted(CERT)] },
  }],
  ["what an alias shares is changed in one place", "a: &a {enabled: true}\nhostResolver: *a", {
    a: { enabled: true },
    hostResolver: { enabled: false },
  }],
])("%s", (_, text, expected) => {
  const told = { authority: [CERT] };
  expect(parse(configuredYaml(text, told))).toMatchObject({
    hostResolver: { enabled: false },
    ...expected,
  });
});

test.each([["- a list"], ["a: [1"], [""]])("%p is refused", (text) => {
  expect(() => configuredYaml(text, { authority: [] })).toThrow(/lima\.yaml: /);
});

test("the file takes the other's place whole, and is left alone where nothing changes", async () => {
  const dir = mkdtempSync(join(tmpdir(), "sbx-own-yaml-"));
  try {
    const path = join(dir, "lima.yaml");
    writeFileSync(path, OWN);
    const first = statSync(path).ino;
    await configureOwnYaml(dir, { authority: [CERT] });
    const second = statSync(path).ino;
    expect(second).not.toBe(first);
    expect(readFileSync(path, "utf8")).toBe(configuredYaml(OWN, { authority: [CERT] }));
    await configureOwnYaml(dir, { authority: [CERT] });
    expect(statSync(path).ino).toBe(second);
    expect(readdirSync(dir)).toEqual(["lima.yaml"]);
    writeFileSync(path, "a: [1");
    await expect(configureOwnYaml(dir, { authority: [] })).rejects.toMatchObject({
      hint: `mend ${path}`,
    });
  } finally {
    rmSync(dir, { recursive: true });
  }
});
