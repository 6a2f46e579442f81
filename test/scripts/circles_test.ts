import { expect, test } from "bun:test";
import { globSync, readFileSync } from "node:fs";
import { circlesIn } from "../../scripts/lint/circles.ts";

const found = (files: Record<string, string>) => circlesIn(new Map(Object.entries(files)));

test("no module of the library, or of what builds and tests it, imports itself by way of others", () => {
  const paths = [
    "main.ts",
    ...globSync("lib/**/*.ts"),
    ...globSync("scripts/**/*.ts"),
    ...globSync("test/support/**/*.ts"),
  ].filter((path) => !path.includes("node_modules"));
  expect(paths.length).toBeGreaterThan(200);
  expect(circlesIn(new Map(paths.map((path) => [path, readFileSync(path, "utf8")])))).toEqual([]);
});

test("a circle is found however it is closed, and a diamond is none", () => {
  expect(found({
    "a.ts": `import { b } from "./b.ts"; import { c } from "./c.ts";`,
    "b.ts": `import type { D } from "./d.ts";`,
    "c.ts": `export * from "./d.ts";`,
    "d.ts": `import "node:fs"; import { z } from "zod";`,
  })).toEqual([]);
  for (
    const back of [
      `import { a } from "../a.ts";`,
      `import type { A } from "../a.ts";`,
      `import {\n  a,\n} from "../a.ts";`,
      `export { a } from "../a.ts";`,
      `import "../a.ts";`,
      `const late = await import("../a.ts");`,
    ]
  ) {
    expect(found({
      "lib/a.ts": `import { b } from "./x/b.ts";`,
      "lib/x/b.ts": `import "./c.ts";`,
      "lib/x/c.ts": back,
      "lib/apart.ts": `import "./a.ts";`,
      "lib/self.ts": `import "./self.ts";`,
    })).toEqual([["lib/a.ts", "lib/x/b.ts", "lib/x/c.ts"], ["lib/self.ts"]]);
  }
});
