/**
 * What a developer watches when a conversation goes wrong: each change of a state, by name. Names of
 * states and events only, so that a trace can be shown to anybody; no payload, no field, no secret.
 *
 * One sink for the process, because a trace is asked for when a process starts and for all of it.
 *
 * @module
 */
import { escapeText } from "./escape.ts";

/** The parts of sbx that have states worth watching. */
export const TRACE_PARTS = ["flow", "http", "dns", "agent"] as const;
export type TracePart = typeof TRACE_PARTS[number];

export interface Transition {
  /** Which of its kind: a flow's number, `12/3` for the third stream of flow 12. */
  readonly id: number | string;
  readonly from: string;
  readonly to: string;
  /** What happened that led from one to the other. */
  readonly event: string;
}

let watched: ReadonlySet<TracePart> = new Set();
let print: (line: string) => void = () => {};

/** Prints the transitions of these parts from now on, each as one line without its end. */
export function traceTo(sink: (line: string) => void, parts: Iterable<TracePart>): void {
  watched = new Set(parts);
  print = sink;
}

/** Off (the default) it costs one look-up; who builds an id for it asks {@link isTraced} first. */
export function trace(part: TracePart, { id, from, to, event }: Transition): void {
  if (!watched.has(part)) return;
  print(`trace ${part} ${id} ${from} → ${to} (${escapeText(event)})`);
}

/** A line in that form which another process of ours made of its own states. */
export function traceLine(part: TracePart, line: string): void {
  if (watched.has(part)) print(escapeText(line));
}

export function isTraced(part: TracePart): boolean {
  return watched.has(part);
}
