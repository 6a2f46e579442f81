import { beforeAll, expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import { globSync, readFileSync } from "node:fs";
import process from "node:process";
import { run } from "../support/process.ts";

const sbx = `${process.cwd()}/dist/sbx`;
let notices: string;

beforeAll(async () => {
  const asked = await run([sbx, "version", "--licences"]);
  expect([asked.status, asked.stderr]).toEqual([0, ""]);
  notices = asked.stdout;
});

/** Fails with the names of those that no line of the notices consists of. */
function expectTitles(titles: readonly string[]): void {
  const lines = new Set(notices.split("\n"));
  expect(titles.length).toBeGreaterThan(0);
  expect(titles.filter((title) => !lines.has(title))).toEqual([]);
}

/** Fails with those of the texts that the notices do not have, however it is broken into lines. */
function expectTexts(...texts: string[]): void {
  const flat = notices.replace(/\s+/g, " ");
  expect(texts.filter((text) => !flat.includes(text))).toEqual([]);
}

test("every Go module that is linked has its notice", () => {
  for (const program of ["netstack", "agent"]) {
    const path = `vendor/bin/linux-${process.arch}/${program}`;
    const info = execFileSync("go", ["version", "-m", path], { encoding: "utf8" });
    const modules = info.matchAll(/^\s+dep\s+(\S+)\s+(\S+)/gm);
    expectTitles([...modules].map(([, name, version]) => `${name} ${version}`));
  }
});

test("every npm package that the sources import has its notice", () => {
  const packages = new Set(
    ["main.ts", ...globSync("lib/**/*.ts")].flatMap((file) =>
      [...readFileSync(file, "utf8").matchAll(/(?:from|import\() ?"([a-z@][^"]*)"/g)]
        .map(([, name = ""]) => /^(?:@[^/]+\/)?[^/]+/.exec(name)?.[0] ?? name)
        .filter((name) => !/^(?:node|bun):/.test(name))
    ),
  );
  expect(packages).toContain("commander");
  expectTitles([...packages].map((name) => {
    const { version } = JSON.parse(readFileSync(`node_modules/${name}/package.json`, "utf8"));
    return `${name} ${version}`;
  }));
});

test("the kernel's notice has its version, its licence and an offer of the source", () => {
  const [name = ""] = readFileSync(`.cache/kernel/${process.arch}/package`, "utf8").split("\n");
  expectTexts(
    name,
    `apt-get source linux=${name.split("_")[1]}`,
    "For at least three years after each release",
    "GNU GENERAL PUBLIC LICENSE Version 2, June 1991",
  );
});

test("the runtime's notice has the licences of what it links", () => {
  expectTitles([`Bun ${process.versions.bun}`]);
  expectTexts("GNU LIBRARY GENERAL PUBLIC LICENSE", "GNU LESSER GENERAL PUBLIC LICENSE");
});
