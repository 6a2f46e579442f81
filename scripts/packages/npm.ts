/**
 * The npm packages: one with the library and a launcher, and one for each platform with its binary, of
 * which npm installs the one that fits.
 *
 * @module
 */
import {
  chmodSync,
  cpSync,
  globSync,
  mkdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import process from "node:process";
import { NPM_SCOPE } from "../../lib/host/installed_binary.ts";
import { step } from "../binary/step.ts";
import { nameOf, partsOf, type Target, TARGETS } from "../binary/target.ts";
import { archive } from "./archive.ts";
import { copyLicences, copyPages } from "./documents.ts";
import { PROJECT } from "./project.ts";
import type { Release } from "./release.ts";

/** What `npm pack` calls the package of the library, or that of a target. */
export function npmName({ version }: Release, target?: Target): string {
  return `${NPM_SCOPE.slice(1)}-${target === undefined ? "sbx" : nameOf(target)}-${version}.tgz`;
}

interface Places {
  readonly work: string;
  readonly out: string;
}

export async function writePlatformPackage(
  release: Release,
  target: Target,
  { binary, work, out }: Places & { readonly binary: string },
): Promise<void> {
  const directory = fresh(`${work}/npm-${nameOf(target)}/package`);
  mkdirSync(`${directory}/bin`);
  cpSync(binary, `${directory}/bin/sbx`);
  copyLicences(release.root, partsOf(target), directory);
  writeJson(`${directory}/package.json`, {
    ...common(release, nameOf(target)),
    description: `The binary of sbx for ${nameOf(target)}`,
    os: [target.os],
    cpu: [target.machine],
  });
  await archive(directory, [`${out}/${npmName(release, target)}`], release.time);
}

export async function writeLibraryPackage(
  release: Release,
  { work, out }: Places,
): Promise<void> {
  const { root, version } = release;
  const directory = fresh(`${work}/npm-sbx/package`);
  await emitLibrary(release, directory);
  mkdirSync(`${directory}/bin`);
  cpSync(`${root}/scripts/packages/launcher.js`, `${directory}/bin/sbx.js`);
  chmodSync(`${directory}/bin/sbx.js`, 0o755);
  cpSync(`${root}/LICENSE`, `${directory}/LICENSE`);
  copyPages(root, directory);
  const platforms = TARGETS.map((target) => [`${NPM_SCOPE}/${nameOf(target)}`, version]);
  writeJson(`${directory}/package.json`, {
    ...common(release, "sbx"),
    description: PROJECT.description,
    type: "module",
    exports: { ".": { types: "./lib/mod.d.ts", default: "./lib/mod.js" } },
    bin: { sbx: "bin/sbx.js" },
    engines: { bun: ">=1.4", node: ">=22", deno: ">=2.9" },
    dependencies: dependencies(root, `${directory}/lib`),
    optionalDependencies: Object.fromEntries(platforms),
  });
  await archive(directory, [`${out}/${npmName(release)}`], release.time);
}

/** JavaScript and declarations of what the library's face leads to, file by file. */
async function emitLibrary(
  { root, version }: Release,
  directory: string,
): Promise<void> {
  const { compilerOptions } = JSON.parse(readFileSync(`${root}/deno.json`, "utf8"));
  const config = `${directory}/tsconfig.json`;
  writeJson(config, {
    compilerOptions: {
      ...compilerOptions,
      types: ["bun"],
      typeRoots: [`${root}/node_modules/@types`],
      target: "es2024",
      module: "esnext",
      moduleResolution: "bundler",
      rewriteRelativeImportExtensions: true,
      declaration: true,
      skipLibCheck: true,
      rootDir: `${root}/lib`,
      outDir: `${directory}/lib`,
    },
    files: [`${root}/lib/mod.ts`],
  });
  const tsc = `${root}/node_modules/typescript/bin/tsc`;
  await step("the library's package", process.execPath, [tsc, "--project", config], { cwd: root });
  rmSync(config);
  // What the binary has from its compiler: the declaration of the constant leaves no trace.
  const info = `${directory}/lib/host/build_info.js`;
  const constant = `const SBX_BUILD = ${JSON.stringify({ sbx: version })};\n`;
  writeFileSync(info, constant + readFileSync(info, "utf8"));
}

/** The packages that the emitted files import, at the versions that sbx is tested with. */
function dependencies(root: string, lib: string): Readonly<Record<string, string>> {
  const { imports } = JSON.parse(readFileSync(`${root}/deno.json`, "utf8")) as {
    readonly imports: Readonly<Record<string, string>>;
  };
  const named = globSync("**/*.js", { cwd: lib }).flatMap((file) =>
    [
      ...readFileSync(`${lib}/${file}`, "utf8").matchAll(
        /(?:from |import\(|^import )"([@a-z][^"]*)"/gm,
      ),
    ]
      .map(([, name = ""]) => /^(?:@[^/]+\/)?[^/]+/.exec(name)?.[0] ?? name)
      .filter((name) => !/^(?:node|bun):/.test(name))
  );
  return Object.fromEntries(
    [...new Set(named)].sort().map((name) => {
      const version = imports[name]?.split("@").at(-1);
      if (version === undefined) {
        throw new Error(`Cannot depend on ${name}: deno.json has no version`);
      }
      return [name, version];
    }),
  );
}

function common({ version }: Release, name: string): object {
  return {
    name: `${NPM_SCOPE}/${name}`,
    version,
    license: PROJECT.licence,
    homepage: PROJECT.homepage,
  };
}

function fresh(directory: string): string {
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  return directory;
}

function writeJson(path: string, value: unknown): void {
  writeFileSync(path, `${JSON.stringify(value, null, 2)}\n`);
}
