/**
 * Requests about files as they come from another process: those of `lib/guest/files.ts`, with paths in
 * base64. Pure.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { z } from "zod";
import { decodeOsString } from "../base/os_string.ts";
import type { FileRequest } from "../guest/files.ts";

const path = z.string().min(1).max(32_768).transform((text) =>
  decodeOsString(Buffer.from(text, "base64"))
);
const count = z.number().int().nonnegative();
const mode = z.number().int().min(0).max(0o7777);
const user = z.string().max(256);

/** What is left out is not there at all, which zod's types cannot say. */
export const fileRequestSchema = z.discriminatedUnion("method", [
  z.object({
    method: z.literal("read"),
    path,
    offset: count.optional(),
    length: count.optional(),
  }),
  z.object({
    method: z.literal("write"),
    path,
    mode: mode.optional(),
    user: user.optional(),
  }),
  z.object({ method: z.literal("stat"), path, follow: z.boolean() }),
  z.object({ method: z.literal("list"), path }),
  // Clients before there was this field know no attributes.
  z.object({ method: z.literal("pack"), path, attributes: z.boolean().default(false) }),
  z.object({
    method: z.literal("mkdir"),
    path,
    recursive: z.boolean(),
    mode: mode.optional(),
    user: user.optional(),
  }),
  z.object({ method: z.literal("remove"), path, recursive: z.boolean() }),
  z.object({ method: z.literal("rename"), path, to: path }),
  z.object({ method: z.literal("copy"), path, to: path }),
  z.object({ method: z.literal("chmod"), path, mode }),
  z.object({ method: z.literal("chown"), path, user }),
  z.object({ method: z.literal("symlink"), path, target: path, user: user.optional() }),
  z.object({ method: z.literal("unpack"), path, user: user.optional() }),
]).transform((request) => request as FileRequest);
