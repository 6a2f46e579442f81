/** What is found in a tree is the tree's, whatever its links say. */
import { afterAll, expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { lookAtTree } from "../../lib/host/tree_look.ts";

const place = mkdtempSync(join(tmpdir(), "sbx-look-"));
afterAll(() => rmSync(place, { recursive: true }));

/** Beside the trees, where no link of theirs may lead. */
const outside = join(place, "outside");
mkdirSync(join(outside, "usr/lib/jvm/secret/lib/security"), { recursive: true });
mkdirSync(join(outside, "bin"));
mkdirSync(join(outside, "usr/lib/ssl"));
writeFileSync(join(outside, "bin/sh"), "outside");
writeFileSync(join(outside, "usr/lib/jvm/secret/lib/security/cacerts"), "");

let number = 0;

/** Files by their content, and links by an arrow before their target. */
function tree(content: Readonly<Record<string, string>>): string {
  const top = join(place, String(number++));
  mkdirSync(top);
  for (const [name, text] of Object.entries(content)) {
    const path = join(top, name);
    mkdirSync(dirname(path), { recursive: true });
    if (text.startsWith("→")) symlinkSync(text.slice(1), path);
    else writeFileSync(path, text);
  }
  return top;
}

async function shellOf(content: Readonly<Record<string, string>>): Promise<string | undefined> {
  const { shell } = await lookAtTree(tree(content));
  return shell === undefined ? undefined : new TextDecoder().decode(shell);
}

test.each(
  [
    [{ "bin/sh": "here" }, "here"],
    [{ "bin/busybox": "here", "bin/sh": "→/bin/busybox" }, "here"],
    [{ "usr/bin/dash": "here", "usr/bin/sh": "→dash", "bin": "→usr/bin" }, "here"],
    [{ "usr/bin/dash": "here", "usr/bin/sh": "→../../bin/dash", "bin": "→/usr/bin" }, "here"],
    [{ "usr/bin/sh": "here", "bin": "→../../../../usr/./bin/" }, "here"],
    [{ "bin/sh": "x".repeat(100) }, "x".repeat(20)],
    // Out of the tree no link leads.
    [{ "bin": `→${outside}/bin` }, undefined],
    [{ "bin": "→../outside/bin" }, undefined],
    [{ "bin/sh": `→${outside}/bin/sh` }, undefined],
    [{ "bin/sh": "→/proc/self/exe" }, undefined],
    // Nor does one for ever.
    [{ "bin/sh": "→sh" }, undefined],
    [{ "bin": "→/bin" }, undefined],
    [{ "bin/sh": "→../bin/sh" }, undefined],
    [{ "bin": "a file" }, undefined],
    [{ "bin/sh/inner": "" }, ""],
    [{}, undefined],
  ] as const,
)("the shell is the one that the guest would have: %j", async (content, shell) => {
  expect(await shellOf(content as unknown as Record<string, string>)).toBe(
    shell as string | undefined,
  );
});

test("a pipe in the place of a shell keeps nobody waiting", async () => {
  const top = tree({ "bin/nothing": "" });
  execFileSync("mkfifo", [join(top, "bin/sh")]);
  expect((await lookAtTree(top)).shell).toEqual(new Uint8Array());
});

test("trust stores are those of the tree, by the names that its own directories have", async () => {
  const found = await lookAtTree(tree({
    "usr/lib/ssl/openssl.cnf": "",
    "usr/lib/jvm/own/lib/security/cacerts": "",
    "usr/lib/jvm/distribution/lib/security/cacerts": "→/etc/ssl/certs/java/cacerts",
    "usr/lib/jvm/none/lib": "",
    "opt": "→/usr/lib/jvm",
  }));
  expect(found.trustStores.bundleLinks).toContain("/usr/lib/ssl/cert.pem");
  expect(found.trustStores.java?.links).toEqual([
    "/etc/pki/java/cacerts",
    "/usr/lib/jvm/own/lib/security/cacerts",
    "/opt/own/lib/security/cacerts",
  ]);
  expect((await lookAtTree(tree({}))).trustStores.java).toBeUndefined();
});

test("of this machine nothing is found through a link of the tree", async () => {
  for (const target of [`${outside}/usr`, "../outside/usr"]) {
    const { trustStores } = await lookAtTree(tree({ "usr": `→${target}` }));
    expect(trustStores.java).toBeUndefined();
    expect(trustStores.bundleLinks).not.toContain("/usr/lib/ssl/cert.pem");
  }
});
