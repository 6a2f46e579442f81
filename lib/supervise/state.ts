/**
 * What has become of a named sandbox. Its supervisor writes it down at each change; whether there still is
 * a supervisor says its lock, so that nothing that was killed, or ran before the machine was started
 * again, looks alive. Pure.
 *
 * ```
 * created ─► starting ─► running ─► stopped          ended in order, by whoever asked for it
 *               │           ├─────► failed           ended by a fault, which it tells
 *               └───────────┴─────► lost             its supervisor was ended
 * ```
 *
 * @module
 */
import { z } from "zod";
import { jsonOf } from "./record.ts";

const at = z.number();
const exit = z.strictObject({
  code: z.number().int().optional(),
  signal: z.number().int().optional(),
});
const error = z.strictObject({
  code: z.string(),
  message: z.string(),
  hint: z.string().optional(),
});
const port = z.strictObject({
  address: z.string(),
  port: z.number().int(),
  guestPort: z.number().int(),
  protocol: z.enum(["tcp", "udp"]),
  keptFor: z.literal("lima").exactOptional(),
});

const state = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("created"), at }),
  z.strictObject({ kind: z.literal("starting"), at, pid: z.number().int() }),
  z.strictObject({
    kind: z.literal("running"),
    at,
    pid: z.number().int(),
    accelerator: z.string(),
    published: z.array(port),
    /** Starts of the machine since the supervisor was started, less the first. */
    restarts: z.number().int(),
  }),
  /** `exit`: of the main command, where there is one. */
  z.strictObject({ kind: z.literal("stopped"), at, exit: exit.optional() }),
  z.strictObject({ kind: z.literal("failed"), at, error }),
]);

/** What a supervisor wrote last. Times are milliseconds since 1970. */
export type SandboxState = Readonly<z.output<typeof state>>;

/** What it is now. */
export type SandboxStatus =
  | "created"
  | "starting"
  | "running"
  | "stopping"
  | "stopped"
  | "failed"
  | "lost";

export function formatState(value: SandboxState): string {
  return `${JSON.stringify(value)}\n`;
}

/** What cannot be read is as good as nothing: a state says what was, and nothing hangs on it. */
export function parseState(text: string | null): SandboxState {
  const read = state.safeParse(text === null ? undefined : jsonOf(text));
  return read.success ? read.data : { kind: "created", at: 0 };
}

/** `held`: whether a supervisor holds the sandbox. */
export function statusOf({ kind }: SandboxState, held: boolean): SandboxStatus {
  switch (kind) {
    case "starting":
    case "running":
      return held ? kind : "lost";
    case "created":
      return held ? "starting" : kind;
    case "stopped":
    case "failed":
      return held ? "stopping" : kind; // its supervisor is there for a moment more
  }
}
