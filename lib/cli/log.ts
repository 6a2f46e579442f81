/**
 * `sbx log`: a journal for people.
 *
 * @module
 */
import type { Command } from "commander";
import { escapeJson, escapeText } from "../base/escape.ts";
import { isRefusal } from "../journal/record.ts";
import { readParty, type Selection, selects } from "../journal/selection.ts";
import { spell, spellBytes } from "../journal/spell.ts";
import { Totals } from "../journal/totals.ts";
import { type JournalRecord, readJournal, SbxError } from "../mod.ts";
import { examples } from "./command.ts";
import { NO, OK } from "./exit.ts";
import { table } from "./table.ts";
import { ui } from "./ui.ts";
import { usage } from "./values.ts";

interface Flags {
  readonly follow?: true;
  readonly denied?: true;
  readonly host?: string;
  readonly json?: true;
}

/** Hosts below the lines; a journal of many is better read with a tool that sorts. */
const TOP = 20;

/** Lines that may wait for whoever reads standard output. */
const PRINTED_AHEAD = 100;

const EVENT_WIDTH = 10;
const WHAT_WIDTH = 44;

export function declare(command: Command): void {
  command
    .argument("<file>", "a journal that 'sbx run --log' wrote; - for standard input")
    .option("-f, --follow", "go on with what is added, until interrupted")
    .option("--denied", "only what was refused")
    .option("--host <host>", "only lines about this name, .suffix or address")
    .option("--json", "print the chosen lines as JSON, one object a line");
  examples(command, [
    ["sbx log net.jsonl", "each event in a line, and the totals of each host"],
    ["sbx log --denied net.jsonl", "what the guest wanted and did not get"],
    ["sbx log --follow --host .example.com net.jsonl", "what happens with these, as it happens"],
    ["sbx log --json --host 203.0.113.7 net.jsonl | jq .reason", "for other programs"],
  ]);
}

export async function run(command: Command): Promise<number> {
  const flags = command.opts<Flags>();
  const path = command.args[0] ?? "";
  const selection = selectionOf(flags);
  const totals = new Totals();
  let damaged = 0;
  let lines = 0;
  const file = path === "-" ? "/dev/stdin" : path;
  for await (const record of readJournal(file, { follow: flags.follow === true })) {
    if (record === null) damaged++;
    else if (selects(selection, record)) {
      lines++;
      totals.add(record);
      ui.out(flags.json ? jsonFor(record) : lineFor(record));
      if (lines % PRINTED_AHEAD === 0) await ui.flush(); // a journal larger than memory passes through
    }
    if (ui.unread) return OK;
  }
  if (lines === 0 && damaged > 0) {
    throw new SbxError(
      "FILE_UNREADABLE",
      `Cannot read the journal ${escapeText(path)}: it is none`,
      {
        hint: "give the file that 'sbx run --log' wrote",
      },
    );
  }
  if (!flags.json) ui.out(totalsFor(totals));
  if (damaged > 0) ui.notice(`${damaged} of the lines are no lines of a journal`);
  return damaged > 0 ? NO : OK;
}

function selectionOf({ denied, host }: Flags): Selection {
  const party = host === undefined ? null : readParty(host);
  if (host !== undefined && party === null) {
    throw usage("--host", host, "neither a name nor an address", "write it like api.example.com");
  }
  return { denied: denied === true, party };
}

function lineFor(record: JournalRecord): string {
  const { time, event, what, why } = spell(record);
  const padded = event.padEnd(EVENT_WIDTH);
  const marked = isRefusal(record) ? ui.mark("bad", padded) : padded;
  return `${time}  ${marked}  ${what.padEnd(WHAT_WIDTH)}  ${why}`.trimEnd() + "\n";
}

/** The same object, without what a terminal would obey. */
function jsonFor({ time, run, event, fields }: JournalRecord): string {
  return `${escapeJson(JSON.stringify({ time, run, event, ...fields }))}\n`;
}

function totalsFor(totals: Totals): string {
  const { hosts } = totals;
  if (hosts.length === 0) return "";
  const rows = hosts.slice(0, TOP).map(({ host, flows, requests, up, down, denied }) => {
    const counts = [`${flows}`, `${requests}`, spellBytes(up), spellBytes(down), `${denied}`];
    return [escapeText(host), ...counts];
  });
  const more = hosts.length > TOP ? `and ${hosts.length - TOP} more hosts\n` : "";
  return `\n${table([["host", "flows", "requests", "up", "down", "denied"], ...rows])}${more}`;
}
