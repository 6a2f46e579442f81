/**
 * The journal: one JSON object a line for everything that went over the wire or was kept from it.
 * docs/journal.md is the schema; a change to the meaning of a field changes the version.
 *
 * @module
 */
import { createWriteStream, openSync, type WriteStream } from "node:fs";
import { fileError } from "../base/file_error.ts";
import type { DnsEvent } from "../dns/service.ts";
import type { FlowEnd } from "../flow/control_message.ts";
import type { Direction, Protocol, ReasonId } from "../policy/policy.ts";

export const JOURNAL_VERSION = 1;

/** What a flow's lines have in common. Addresses are canonical, names canonical or escaped. */
export interface FlowLine {
  readonly flow: number;
  readonly direction: Direction;
  readonly protocol: Protocol;
  readonly source: string;
  readonly destination: string;
  readonly name?: string;
}

interface Why {
  readonly reason: ReasonId;
  /** Index of the rule in the policy. */
  readonly rule?: number;
  /** The rule as it would be written. */
  readonly ruleText?: string;
}

export type JournalEvent =
  | { readonly event: "start"; readonly version: number; readonly policy: readonly string[] }
  | Omit<DnsEvent, "kind"> & { readonly event: "dns" }
  | FlowLine & Why & { readonly event: "opened"; readonly dialled: string }
  | FlowLine & {
    readonly event: "closed";
    readonly up: number;
    readonly down: number;
    readonly ms: number;
    readonly end: FlowEnd;
  }
  | FlowLine & Why & { readonly event: "denied" }
  | { readonly event: "limit"; readonly what: string; readonly count: number }
  | {
    readonly event: "published";
    readonly address: string;
    readonly port: number;
    readonly guestPort: number;
  }
  | { readonly event: "end"; readonly error?: string };

export interface Journal {
  write(event: JournalEvent): void;
  /** Resolves when all lines are with the operating system. */
  close(): Promise<void>;
}

/** A journal that nobody asked for. */
export const NO_JOURNAL: Journal = { write: () => {}, close: () => Promise.resolve() };

/**
 * Opens (creates, or appends to) the journal file, private to the user.
 *
 * @throws SbxError FILE_UNREADABLE
 */
export function openJournal(path: string): Journal {
  let stream: WriteStream;
  try {
    stream = createWriteStream(path, { fd: openSync(path, "a", 0o600) });
  } catch (cause) {
    throw fileError(
      "write the journal",
      path,
      cause,
      "give --log a file in a directory you can write",
    );
  }
  stream.on("error", () => {}); // a full disk must not end the sandbox
  return {
    write: (event) =>
      void stream.write(`${JSON.stringify({ time: new Date().toISOString(), ...event })}\n`),
    close: () => new Promise((resolve) => stream.end(() => resolve())),
  };
}
