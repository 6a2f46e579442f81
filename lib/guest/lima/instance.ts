/**
 * An instance of Lima's, as its driver is told of it. Parsed once, into what sbx goes by; what Lima
 * knows beyond that is its own.
 *
 * @module
 */
import { z } from "zod";
import { SbxError } from "../../base/errors.ts";
import { nearest } from "../../base/nearest.ts";

/** Booleans and lists of a configuration that Lima has not filled in are null or absent. */
const truth = z.boolean().nullish().transform((value) => value ?? false);
const list = z.array(z.unknown()).nullish().transform((values) => values?.length ?? 0);
const word = z.string().nullish().transform((value) => value ?? "");

/** A card of the guest's; what Lima fills in besides has no say in where it leads. */
const network = z.object({ lima: word, socket: word, vzNAT: truth });

const CONFIG = z.object({
  vmType: word,
  os: word,
  plain: truth,
  networks: z.array(network).nullish().transform((cards) => cards ?? []),
  mounts: list,
  portForwards: list,
  copyToHost: list,
  provision: z.array(z.object({ mode: word })).nullish().transform((scripts) => scripts ?? []),
  additionalDisks: list,
  tpm: truth,
  audio: z.object({ device: word }).nullish(),
  hostResolver: z.object({ hosts: z.record(z.string(), z.unknown()).nullish() }).nullish(),
  video: z.object({ display: word }).nullish(),
  firmware: z.object({ legacyBIOS: truth }).nullish(),
  ssh: z.object({
    forwardAgent: truth,
    forwardX11: truth,
    forwardX11Trusted: truth,
    overVsock: z.boolean().nullish(),
  }).nullish(),
  vmOpts: z.object({ sbx: z.unknown() }).nullish(),
});

const INSTANCE = z.object({
  name: z.string().min(1),
  dir: z.string().regex(/^\/[^\0\n]*$/, "not an absolute path"),
  arch: z.string(),
  cpus: z.int().min(1).max(255),
  memory: z.int().min(1),
  sshLocalPort: z.int().min(0).max(65_535).nullish(),
  config: CONFIG,
});

/** As Lima's JSON has it; absent fields have Lima's own defaults. */
export type LimaInstance = Readonly<z.output<typeof INSTANCE>>;

/** @throws SbxError LIMA_INSTANCE for what is no instance */
export function readInstance(value: unknown): LimaInstance {
  const { data, error } = INSTANCE.safeParse(value);
  if (data !== undefined) return data;
  const [first] = error.issues;
  const place = first === undefined || first.path.length === 0 ? "it" : first.path.join(".");
  throw new SbxError("LIMA_INSTANCE", `Cannot read Lima's instance: ${place} is not as expected`, {
    hint: "sbx needs Lima 2.2 or newer",
    cause: error,
  });
}

/** What Lima calls the guest: its host name, and its name in the SSH configuration. */
export function limaHostname(name: string): string {
  return `lima-${name.replace(/[._]/g, "-")}`;
}

const OPTIONS = z.strictObject({
  policy: z.string(),
  publish: z.array(z.string()),
  log: z.boolean(),
  stopTimeout: z.string(),
}).partial();

/**
 * What `vmOpts.sbx` may say, each in the words of the option of `sbx run` that it is called after. A yaml
 * can be somebody else's, so none of it names a file to write to, or a program.
 */
export interface LimaOptions {
  readonly policy?: string;
  readonly publish?: readonly string[];
  /** Keeps a journal in the instance's directory. */
  readonly log?: boolean;
  /** How long the guest may take to power off: `90s`. */
  readonly stopTimeout?: string;
}

/** @throws SbxError LIMA_INSTANCE that names the key */
export function readLimaOptions({ config: { vmOpts } }: LimaInstance): LimaOptions {
  const { data, error } = OPTIONS.safeParse(vmOpts?.sbx ?? {});
  if (data !== undefined) return data as LimaOptions;
  const [issue] = error.issues;
  if (issue?.code === "unrecognized_keys") {
    const known = Object.keys(OPTIONS.shape);
    const near = nearest(issue.keys[0] ?? "", known);
    throw optionFault(
      `there is no ${issue.keys[0]}`,
      near === null ? `there are ${known.join(", ")}` : `did you mean ${near}?`,
    );
  }
  const place = issue?.path.join(".") ?? "";
  throw optionFault(
    place === "" ? "it is no map" : `${place} is not as expected`,
    "publish is a list, log is true or false, everything else a text",
  );
}

function optionFault(state: string, hint: string): SbxError {
  return new SbxError("LIMA_INSTANCE", `Cannot use vmOpts.sbx: ${state}`, { hint });
}
