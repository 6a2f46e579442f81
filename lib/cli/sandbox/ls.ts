/**
 * `sbx ls`: the sandboxes, and what has become of each.
 *
 * @module
 */
import type { Command } from "commander";
import { escapeText } from "../../base/escape.ts";
import { Sandbox, type SandboxInfo } from "../../mod.ts";
import { examples } from "../command.ts";
import { OK } from "../exit.ts";
import { jsonText } from "../json.ts";
import { table } from "../table.ts";
import { ui } from "../ui.ts";
import { usage } from "../values.ts";
import { agoText, commandText, portsText, statusText } from "./info_text.ts";

interface Flags {
  readonly all?: true;
  readonly json?: true;
  readonly quiet?: true;
  readonly filter: readonly Filter[];
}

/** Of one key, any will do; of several keys, each has to. */
interface Filter {
  readonly key: "name" | "status";
  readonly fits: (info: SandboxInfo) => boolean;
}

export function declare(command: Command): void {
  const filters: Filter[] = [];
  command.setOptionValue("filter", filters);
  command
    .option("-a, --all", "those as well that do not run")
    .option("-q, --quiet", "print the names alone")
    .option("--json", "print one JSON array")
    .option(
      "-f, --filter <key=value>",
      "only those with this name or status, any of several; name=web*",
      (text) => {
        filters.push(filterOf(text));
        return filters;
      },
    );
  examples(command, [
    ["sbx ls", "what runs"],
    ["sbx ls --filter status=failed --filter status=lost", "what broke"],
  ]);
}

export async function run(command: Command): Promise<number> {
  const { all, json, quiet, filter } = command.opts<Flags>();
  if (quiet) ui.quiet();
  const asked = all === true || filter.length > 0;
  const every = await Sandbox.list();
  const shown = every.filter((info) =>
    (asked || isAlive(info)) && KEYS.every((key) => {
      const own = filter.filter((each) => each.key === key);
      return own.length === 0 || own.some(({ fits }) => fits(info));
    })
  );
  if (json) ui.out(jsonText(shown));
  else if (quiet) { for (const { name } of shown) ui.line(name); }
  else if (shown.length > 0) ui.out(table([HEAD, ...shown.map(rowOf)]));
  else if (!asked && every.length > 0) ui.notice("none runs: see all of them with 'sbx ls -a'");
  else if (every.length === 0) ui.notice("there is no sandbox: start one with 'sbx run -d -- …'");
  return OK;
}

const HEAD = ["name", "status", "created", "ports", "command"];

function rowOf(info: SandboxInfo): readonly string[] {
  return [
    escapeText(info.name),
    statusText(info),
    info.createdMs === undefined ? "" : `${agoText(info.createdMs)} ago`,
    portsText(info.published),
    info.lima === undefined ? commandText(info.command) : "a guest of Lima's",
  ];
}

function isAlive({ status }: SandboxInfo): boolean {
  return status === "running" || status === "starting" || status === "stopping";
}

const KEYS = ["name", "status"] as const;
const STATUSES = ["created", "starting", "running", "stopping", "stopped", "failed", "lost"];

function filterOf(text: string): Filter {
  const [key, value = ""] = text.split("=", 2);
  if (key === "status") {
    if (STATUSES.includes(value)) return { key, fits: ({ status }) => status === value };
    const hint = value === "exited"
      ? "use stopped, failed and lost, each in a --filter of its own"
      : `use one of ${STATUSES.join(", ")}`;
    throw usage("--filter", text, "not a status", hint);
  }
  if (key === "name" && value !== "") return { key, fits: ({ name }) => isLike(name, value) };
  throw usage(
    "--filter",
    text,
    "not a key and a value",
    "write it like status=running or name=web*",
  );
}

/** Whether a name is of a pattern in which each `*` stands for anything, which takes linear time. */
function isLike(name: string, pattern: string): boolean {
  const [begin = "", ...rest] = pattern.split("*");
  const end = rest.pop();
  if (end === undefined) return name === begin;
  if (!name.startsWith(begin) || !name.endsWith(end)) return false;
  let at = begin.length;
  for (const part of rest) {
    const found = name.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return at <= name.length - end.length;
}
