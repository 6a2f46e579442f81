/** What sbx makes of each field that a yaml of Lima's can have. */
import { expect, test } from "bun:test";
import { parse } from "yaml";
import { SbxError } from "../../lib/base/errors.ts";
import { configured } from "../../lib/guest/lima/configure.ts";
import { readInstance } from "../../lib/guest/lima/instance.ts";
import { configuredYaml } from "../../lib/guest/lima/own_yaml.ts";
import { requireGoverned } from "../../lib/guest/lima/refusals.ts";
import { type Field, FIELDS } from "../support/lima/fields.ts";

type Config = Readonly<Record<string, unknown>>;

/** A sound guest by each driver. */
const SOUND: readonly (readonly [string, Config])[] = [
  ["sbx", { vmType: "sbx", plain: true }],
  ["qemu", { vmType: "qemu", plain: true, networks: [{ lima: "sbx" }] }],
];

function complaints(config: Config): readonly string[] {
  const place = { name: "dev", dir: "/h/dev", arch: "x86_64", cpus: 1, memory: 1 << 30 };
  try {
    requireGoverned(readInstance({ ...place, config }), "x64");
    return [];
  } catch (error) {
    if (!(error instanceof SbxError)) throw error;
    return [error.message, ...error.others.map(({ message }) => message)];
  }
}

/** A field set in a configuration, beside the others of its map. */
function withField(config: Config, path: string, value: unknown): Config {
  const [key = "", rest] = path.split(/\.(.*)/);
  if (rest === undefined) return { ...config, [key]: value };
  return { ...config, [key]: withField((config[key] ?? {}) as Config, rest, value) };
}

const named = Object.entries(FIELDS);
const has = (kind: "refused" | "accepted" | "set") => named.filter(([, field]) => kind in field);
const valueOf = (field: Field): unknown => Object.values(field)[0];

test.each(has("refused"))("%s is refused of a guest by any driver", (path, field) => {
  for (const [, sound] of SOUND) {
    expect(complaints(withField(sound, path, valueOf(field)))).toHaveLength(1);
  }
});

test.each(has("accepted"))("%s is not, for what it says", (path, field) => {
  for (const [driver, sound] of SOUND) {
    if (path === "vmType" && driver !== "sbx") continue;
    expect(complaints(withField(sound, path, valueOf(field)))).toEqual([]);
  }
});

test.each(has("set"))("%s is what sbx has it to be", (path, field) => {
  const given = withField({}, path, true);
  const at = (config: Config) =>
    path.split(".").reduce<unknown>((map, key) => (map as Config)[key], config);
  const { config } = configured({ config: given }, { authority: [] });
  expect(at(config as Config)).toEqual(valueOf(field));
  expect(at(parse(configuredYaml(JSON.stringify(given), { authority: [] })))).toEqual(
    valueOf(field),
  );
});
