/**
 * What a program and the process that has its sandbox tell each other beside calls: lines of JSON on the streams
 * of the call `create`, which is open for as long as the sandbox lives. docs/supervisor-protocol.md has them. Pure.
 *
 * @module
 */
import { z } from "zod";
import { SbxError } from "../base/errors.ts";
import type { Failure } from "../base/failure.ts";
import type { TemplateUse } from "../guest/guest.ts";
import type { NoticeTopic } from "../guest/provider.ts";
import type { Denial } from "../journal/denials.ts";
import type { NetworkSummary } from "../journal/summary.ts";
import type { Secret, SecretSettings } from "../policy/model/secret.ts";
import type { Disk, PublishedPort, SandboxOptions } from "../sandbox/options.ts";
import { type ProgramValue, ProgramValues } from "../secret/program_values.ts";
import { optionsOf, type SandboxSpec, sandboxSpec, specOf } from "./record.ts";

/** What can be said of a sandbox that has just started. */
export interface Ready {
  readonly accelerator: string;
  readonly template: TemplateUse;
  readonly published: readonly PublishedPort[];
}

/** What the process tells the program. */
export type Told =
  | { readonly notice: string; readonly topic?: NoticeTopic }
  | { readonly denial: Denial }
  /** So many notices and denials are missing here: the program did not read. */
  | { readonly lost: number }
  | { readonly ready: Ready }
  /** The value of this secret is wanted; answered with the same number. */
  | { readonly ask: number; readonly secret: string };

/** What `create` ends with, once the sandbox has run. */
export interface Ended {
  /** Absent: it was stopped. */
  readonly failure?: Failure;
  /** Absent without a network. */
  readonly summary?: NetworkSummary;
}

const answer = z.union([
  z.object({ ask: z.number(), value: z.string(), expiresMs: z.number().optional() }),
  z.object({
    ask: z.number(),
    error: z.object({ code: z.string(), message: z.string(), hint: z.string().optional() }),
  }),
  /** What the function threw is the program's own, and can have the value in it. */
  z.object({ ask: z.number(), failed: z.enum(["threw", "no-reading"]) }),
]);

/** What the program answers. */
export type Answer = Readonly<z.output<typeof answer>>;

/** @throws SbxError PROTOCOL */
export function parseAnswer(line: string): Answer {
  const read = answer.safeParse(JSON.parse(line));
  if (read.success) return read.data;
  throw new SbxError("PROTOCOL", "Cannot use a value: the program's answer is malformed");
}

const disk = z.strictObject({
  bytes: z.number(),
  path: z.string().optional(),
  from: z.string().optional(),
  owner: z.string().optional(),
});

/** The request of `create`. */
export interface CreateRequest {
  readonly name: string;
  readonly spec: SandboxSpec;
  /** Apart from `spec`, which is of disks that are kept. Absent: it writes to its memory. */
  readonly disk?: Readonly<z.output<typeof disk>> | undefined;
  /** For each secret whose value is the program's: the value, or null where it is asked for. */
  readonly values: Readonly<Record<string, string | null>>;
}

export const createRequest = {
  name: z.string(),
  spec: sandboxSpec,
  disk: disk.optional(),
  values: z.record(z.string(), z.string().nullable()),
};

/** With another source in the place of one that no policy file can spell; {@link fromProgram} puts that back. */
export function standingIn({ secrets, onViolation }: SecretSettings): SecretSettings {
  const spelled = secrets.map((secret): Secret =>
    secret.source.kind === "program"
      ? { ...secret, source: { kind: "env", variable: secret.name } }
      : secret
  );
  return { secrets: spelled, onViolation };
}

/** `values`: has the name of each secret whose value is the program's. */
export function fromProgram(
  { secrets, onViolation }: SecretSettings,
  values: CreateRequest["values"],
): SecretSettings {
  const whole = secrets.map((secret): Secret =>
    Object.hasOwn(values, secret.name) ? { ...secret, source: { kind: "program" } } : secret
  );
  return { secrets: whole, onViolation };
}

/** @throws SbxError USAGE for a journal that only the program itself could write */
export function requestOf(options: SandboxOptions): CreateRequest {
  const { network, disk, ...others } = options;
  const values = network.secrets.secrets.flatMap(({ name, source }) => {
    if (source.kind !== "program") return [];
    const value = network.secretValues?.get(name);
    return [[name, typeof value === "string" ? value : null]];
  });
  const secrets = standingIn(network.secrets);
  return {
    name: options.name,
    spec: specOf({ ...others, network: { ...network, secrets } }, "program"),
    ...(disk === undefined ? {} : { disk }),
    values: Object.fromEntries(values),
  };
}

/** What a start takes. `ask`: for a value that the program says each time. @throws SbxError POLICY_INVALID */
export function createdOptions(
  { name, spec, disk, values }: CreateRequest,
  ask: (secret: string) => Exclude<ProgramValue, string>,
): SandboxOptions {
  const { network, ...options } = optionsOf({ name, spec, createdMs: 0 }, "");
  return {
    ...options,
    name,
    ...(disk === undefined ? {} : { disk: disk as Disk }), // JSON has no undefined
    network: {
      ...network,
      secrets: fromProgram(network.secrets, values),
      secretValues: new ProgramValues(
        Object.entries(values).map(([secret, value]) => [secret, value ?? ask(secret)]),
      ),
    },
  };
}
