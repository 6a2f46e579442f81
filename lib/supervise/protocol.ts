/**
 * What clients ask of a supervisor; docs/supervisor-protocol.md is the specification. Calls are those of
 * lib/wire, and each request is one of these.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { z } from "zod";
import { SbxError } from "../base/errors.ts";
import { decodeOsString } from "../base/os_string.ts";
import type { Fields } from "../wire/call_result.ts";
import { fileRequestSchema } from "./file_request.ts";
import { createRequest } from "./program_protocol.ts";

/** Raised when what an older peer says means something else. New methods and fields do not raise it. */
export const PROTOCOL = 1;

/** Results may list many jobs or flows. */
export const MAX_RESULT = 8 << 20;

const signal = z.number().int().min(1).max(64);
const job = z.string().max(32);

/** Strings that end with NUL each, in base64, as the guest's agent takes them. */
const block = z.string().transform((text, context) => {
  const strings = decodeBlock(text);
  if (strings !== null) return strings;
  context.addIssue({ code: "custom", message: "not a block of strings" });
  return z.NEVER;
});

const port = z.number().int().min(0).max(65_535);
const transport = z.enum(["tcp", "udp"]);

/** Of copies: texts of the system, whose lone surrogates JSON has as they are. */
const paths = z.array(z.string().max(16_384)).max(10_000);

/** What lib/sandbox/events.ts tells. */
const kind = z.enum(["journal", "denial", "notice", "exit"]);

/** Whether the client says something all the time while the guest stands still for him. */
const beats = z.boolean().optional();

const command = {
  argv: block,
  env: block,
  cwd: z.string().optional(),
  user: z.string().optional(),
  tty: z.object({
    cols: z.number().int().min(0).max(65_535),
    rows: z.number().int().min(0).max(65_535),
    term: z.string(),
  }).optional(),
  stdin: z.boolean(),
  closed: z.array(z.union([z.literal(0), z.literal(1), z.literal(2)])).optional(),
  timeoutMs: z.number().positive().optional(),
};

const request = z.discriminatedUnion("method", [
  z.object({ method: z.literal("hello"), protocol: z.number().int(), sbx: z.string() }),
  z.object({ method: z.literal("ping") }),
  z.object({ method: z.literal("status") }),
  z.object({ method: z.literal("create"), ...createRequest }),
  z.object({ method: z.literal("exec"), ...command }),
  z.object({ method: z.literal("start-job"), ...command }),
  z.object({ method: z.literal("jobs") }),
  z.object({ method: z.literal("wait"), job }),
  z.object({ method: z.literal("attach"), job, from: z.number().int().nonnegative() }),
  z.object({ method: z.literal("signal"), job, signal }),
  z.object({ method: z.literal("files"), request: fileRequestSchema }),
  z.object({ method: z.literal("diff"), paths, texts: z.boolean() }),
  z.object({
    method: z.literal("apply"),
    paths,
    dryRun: z.boolean(),
    force: z.boolean(),
    includeUnsafe: z.boolean(),
    digest: z.string().max(64).optional(),
  }),
  z.object({
    method: z.literal("apply-policy"),
    /** As a policy file would have it. */
    policy: z.record(z.string(), z.unknown()),
    dryRun: z.boolean(),
  }),
  z.object({
    method: z.literal("publish"),
    bind: z.string().optional(),
    hostPort: port,
    guestPort: port,
    protocol: transport,
  }),
  z.object({
    method: z.literal("unpublish"),
    port,
    address: z.string().optional(),
    protocol: transport.optional(),
  }),
  z.object({
    method: z.literal("wait-for-port"),
    port,
    timeoutMs: z.number().positive().optional(),
  }),
  z.object({ method: z.literal("connect"), port }),
  z.object({ method: z.literal("metrics") }),
  z.object({ method: z.literal("freeze"), beats }),
  z.object({ method: z.literal("save"), beats }),
  z.object({ method: z.literal("prove") }),
  z.object({ method: z.literal("summary") }),
  z.object({ method: z.literal("events"), kinds: z.array(kind).optional() }),
  z.object({ method: z.literal("stop"), graceMs: z.number().nonnegative().optional() }),
]);

export type Request = Readonly<z.output<typeof request>>;
export type PublishRequest = Extract<Request, { readonly method: "publish" }>;
export type UnpublishRequest = Extract<Request, { readonly method: "unpublish" }>;
export type ApplyRequest = Extract<Request, { readonly method: "apply" }>;
export type CommandRequest = Extract<Request, { readonly method: "exec" | "start-job" }>;

const METHODS: ReadonlySet<unknown> = new Set(
  request.options.map((option) => option.shape.method.value),
);

/** @throws SbxError PROTOCOL for what no client of this version asks */
export function parseRequest(fields: Fields): Request {
  const read = request.safeParse(fields);
  if (read.success) return read.data;
  if (METHODS.has(fields.method)) {
    throw new SbxError("PROTOCOL", "Cannot do what was asked: the request is malformed");
  }
  throw new SbxError("PROTOCOL", "Cannot do what was asked: this sandbox's supervisor is older", {
    hint: "stop the sandbox and start it again, and it runs with this version of sbx",
  });
}

function decodeBlock(text: string): string[] | null {
  const bytes = Buffer.from(text, "base64");
  if (bytes.length === 0) return [];
  if (bytes[bytes.length - 1] !== 0) return null;
  const strings: string[] = [];
  for (let from = 0; from < bytes.length;) {
    const end = bytes.indexOf(0, from);
    strings.push(decodeOsString(bytes.subarray(from, end)));
    from = end + 1;
  }
  return strings;
}
