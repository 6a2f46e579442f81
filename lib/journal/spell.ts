/**
 * Lines of a journal for people: when, what happened, to whom, and why or how much.
 *
 * The writer escaped what the guest chose, but a file may have been changed since: every text is
 * escaped once more, which leaves what is clean as it is.
 *
 * @module
 */
import { escapeText } from "../base/escape.ts";
import { plural } from "../base/plural.ts";
import { type FieldName, fieldOf, type FieldValue, type JournalRecord } from "./format.ts";

export interface SpelledLine {
  /** Time of day, UTC, to the millisecond. */
  readonly time: string;
  readonly event: string;
  readonly what: string;
  readonly why: string;
}

export function spell(record: JournalRecord): SpelledLine {
  const [what, why] = words(record);
  return {
    time: escapeText(/T(\d\d:\d\d:\d\d\.\d{3})Z$/.exec(record.time)?.[1] ?? record.time),
    event: escapeText(SHORT.get(record.event) ?? record.event),
    what: escapeText(what),
    why: escapeText(why),
  };
}

/** Events whose own names are wider than the column. */
const SHORT: ReadonlyMap<string, string> = new Map([["secret-violation", "violation"]]);

type FieldOf<Value> = {
  [N in FieldName]: FieldValue<N> extends Value ? N : never;
}[FieldName];
type TextField = FieldOf<string>;
type NumberField = FieldOf<number>;

function words(record: JournalRecord): readonly [what: string, why: string] {
  const text = (name: TextField) => fieldOf(record, name) ?? "";
  const number = (name: NumberField) => fieldOf(record, name) ?? 0;
  switch (record.event) {
    case "start":
      return [
        joined(text("command"), text("sbx") === "" ? "" : `in sbx ${text("sbx")}`),
        rulesOf(record),
      ];
    case "policy":
      return ["", rulesOf(record)];
    case "dns":
      return [joined(text("type"), text("name")), answerOf(record)];
    case "opened":
      return [flowOf(record), reasonOf(record)];
    case "denied":
    case "revoked":
      return [flowOf(record), reasonOf(record)];
    case "closed":
      return [flowOf(record), joined(`${text("end")},`, trafficOf(record))];
    case "request":
      return [requestOf(record), joined(statusOf(record), trafficOf(record), reasonOf(record))];
    case "secret":
      return [
        `${text("name")} ${SAID.get(text("what")) ?? text("what")} ${text("host")}`,
        useOf(record),
      ];
    case "secret-violation":
      return [`${listOf(record, "names")} to ${text("to")}`, violationOf(record)];
    case "limit":
      return [text("what"), `${number("count")} refused`];
    case "suppressed":
      return [
        plural(number("denied"), "denial"),
        `and ${plural(number("dns"), "refused name")} left out`,
      ];
    case "lost":
      return [plural(number("lines"), "line"), "could not be written"];
    case "published":
    case "unpublished":
      return [
        `${text("protocol")} ${text("address")} port ${number("port")}`,
        `port ${number("guestPort")} of the guest`,
      ];
    case "end":
      return [text("error"), ""];
    default:
      return [JSON.stringify(record.fields), ""];
  }
}

function rulesOf(record: JournalRecord): string {
  const rules = plural(fieldOf(record, "policy")?.length ?? 0, "rule");
  return joined(`${rules},`, defaultsOf(record));
}

/** What was done with a secret, up to whom with. */
const SAID: ReadonlyMap<string, string> = new Map([
  ["sent", "sent to"],
  ["inert", "as a placeholder to"],
  ["masked", "masked in the answer of"],
]);

function useOf(record: JournalRecord): string {
  const count = fieldOf(record, "count") ?? 1;
  return joined(fieldOf(record, "place") ?? "", count === 1 ? "" : `× ${count}`);
}

function violationOf(record: JournalRecord): string {
  const how = listOf(record, "disguises");
  return `${fieldOf(record, "route") ?? ""}, ${how}: ${fieldOf(record, "action") ?? ""}`;
}

function listOf(record: JournalRecord, name: "names" | "disguises"): string {
  return (fieldOf(record, name) ?? []).join(", ");
}

function flowOf(record: JournalRecord): string {
  const text = (name: TextField) => fieldOf(record, name) ?? "";
  const inbound = text("direction") === "inbound";
  const route = inbound
    ? `${text("source")} to the guest's ${text("destination")}`
    : text("destination");
  const name = fieldOf(record, "name");
  return joined(text("protocol"), name === undefined ? route : `${name} (${route})`);
}

function requestOf(record: JournalRecord): string {
  const method = fieldOf(record, "method");
  if (method === undefined) return "no request";
  return `${method} ${fieldOf(record, "host") ?? ""}${fieldOf(record, "path") ?? ""}`;
}

function statusOf(record: JournalRecord): string {
  const status = fieldOf(record, "status");
  return status === undefined ? "no answer," : `${status},`;
}

function answerOf(record: JournalRecord): string {
  const verdict = fieldOf(record, "verdict") ?? "";
  if (verdict !== "answered") {
    const count = fieldOf(record, "count");
    return joined(verdict, count === undefined ? "" : `× ${count}`, reasonOf(record));
  }
  const answers = fieldOf(record, "answers") ?? [];
  return answers.length === 0 ? "answered" : answers.join(", ");
}

function reasonOf(record: JournalRecord): string {
  const reason = fieldOf(record, "reason") ?? "";
  const rule = fieldOf(record, "rule");
  const text = fieldOf(record, "ruleText");
  const decided = rule === undefined ? reason : joined(`rule ${rule},`, text ?? "");
  const detail = fieldOf(record, "detail");
  return detail === undefined ? decided : `${decided}: ${detail}`;
}

function trafficOf(record: JournalRecord): string {
  const number = (name: NumberField) => fieldOf(record, name) ?? 0;
  const [up, down] = [spellBytes(number("up")), spellBytes(number("down"))];
  return `${up} up, ${down} down, ${spellTime(number("ms"))}`;
}

function defaultsOf(record: JournalRecord): string {
  const sides = Object.entries(fieldOf(record, "defaults") ?? {}).map(([side, action]) =>
    `${side} ${action}`
  );
  return sides.length === 0 ? "" : `else ${sides.join(", ")}`;
}

const UNITS = ["B", "kB", "MB", "GB", "TB"];

/** Decimal units, three figures: `512 B`, `1.5 kB`, `30.2 MB`. */
export function spellBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 ? value : shortened(value)} ${UNITS[unit]}`;
}

function spellTime(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${shortened(ms / 1000)} s`;
}

function shortened(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toFixed(1).replace(/\.0$/, "");
}

function joined(...parts: readonly string[]): string {
  return parts.filter((part) => part !== "").join(" ");
}
