/**
 * Manual pages, out of the same declarations as `--help`: man(7) for troff. One page a command, named as
 * git names its own: sbx-run(1), sbx-policy-check(1).
 *
 * @module
 */
import type { Argument, Command } from "commander";
import { examplesOf } from "./command.ts";
import { STATUSES } from "./exit.ts";

/** Every page of the tree, the root's first, by its file name. */
export function manPages(root: Command, version: string): ReadonlyMap<string, string> {
  const commands = [root, ...shownBelow(root)];
  return new Map(commands.map((command) => [`${pageName(command)}.1`, manPage(command, version)]));
}

function shownBelow(command: Command): readonly Command[] {
  const shown = command.createHelp().visibleCommands(command);
  return shown.flatMap((each) => [each, ...shownBelow(each)]);
}

/** `sbx-policy-check`. */
export function pageName(command: Command): string {
  return pathOf(command).join("-");
}

function pathOf(command: Command): readonly string[] {
  return command.parent === null ? [command.name()] : [...pathOf(command.parent), command.name()];
}

/** One page; `version` is told in its foot. */
export function manPage(command: Command, version: string): string {
  const name = pageName(command);
  const summary = command.summary() || command.description();
  return [
    `.TH "${escape(name.toUpperCase())}" 1 "" "sbx ${escape(version)}" "sbx manual"\n`,
    ".nh\n.ad l\n",
    section("Name", `${escape(name)} \\- ${escape(phrase(summary))}\n`),
    section("Synopsis", `.B ${escape(pathOf(command).join(" "))}\n${line(command.usage())}`),
    section("Description", line(sentence(command.description()))),
    section("Arguments", command.registeredArguments.map(argumentItem).join("")),
    section("Options", optionItems(command)),
    section("Commands", command.createHelp().visibleCommands(command).map(commandItem).join("")),
    section("Exit status", hasStatuses(command) ? verbatim(withoutTitle(STATUSES)) : ""),
    section("Examples", examplesOf(command).map(exampleItem).join(".PP\n")),
    section("See also", line(relatives(command).map((each) => `${pageName(each)}(1)`).join(", "))),
  ].join("");
}

function section(title: string, body: string): string {
  return body === "" ? "" : `.SH ${title.toUpperCase()}\n${body}`;
}

function argumentItem(argument: Argument): string {
  return item(`\\fI${escape(argument.name())}\\fR`, argument.description);
}

function optionItems(command: Command): string {
  let group = "";
  return command.createHelp().visibleOptions(command).map((option) => {
    const heading = option.helpGroupHeading?.replace(/:$/, "") ?? "";
    const changes = heading !== group && heading !== "";
    group = heading;
    const [flags = "", value = ""] = option.flags.split(/ (.*)/s);
    const [short = "", long] = flags.split(", ");
    const names = long === undefined ? bold(short) : `${bold(short)}, ${bold(long)}`;
    const term = value === "" ? names : `${names.replace(/,$/, "")} \\fI${escape(value)}\\fR`;
    return (changes ? `.SS ${escape(heading)}\n` : "") + item(term, option.description);
  }).join("");
}

function commandItem(command: Command): string {
  return item(`${bold(pageName(command))}(1)`, command.summary());
}

function exampleItem([commandLine, meaning]: readonly [string, string]): string {
  return `${line(sentence(meaning))}.PP\n${verbatim(`  ${commandLine}`)}`;
}

/** Commands above and below, and beside it in its own group. */
function relatives(command: Command): readonly Command[] {
  const { parent } = command;
  const near = parent === null ? [] : [parent, ...shownNextTo(command, parent)];
  return [...near, ...command.createHelp().visibleCommands(command)];
}

function shownNextTo(command: Command, parent: Command): readonly Command[] {
  if (parent.parent === null) return [];
  return parent.createHelp().visibleCommands(parent).filter((each) => each !== command);
}

/** Only what runs commands, and the whole, have more than "it worked" and "it did not". */
function hasStatuses(command: Command): boolean {
  return command.parent === null || command.name() === "run";
}

function withoutTitle(text: string): string {
  return text.slice(text.indexOf("\n") + 1);
}

function item(term: string, description: string): string {
  return `.TP\n${term}\n${line(description)}`;
}

function verbatim(text: string): string {
  return `.nf\n${text.split("\n").map(line).join("")}.fi\n`;
}

function line(text: string): string {
  return text === "" ? "" : `${escape(text)}\n`;
}

function bold(text: string): string {
  return `\\fB${escape(text)}\\fR`;
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${withoutStop(text).slice(1)}.`;
}

function phrase(text: string): string {
  return `${text.charAt(0).toLowerCase()}${withoutStop(text).slice(1)}`;
}

function withoutStop(text: string): string {
  return text.replace(/\.$/, "");
}

/** Text as troff shows it: hyphens that can be copied, and no line that is a request. */
function escape(text: string): string {
  return text
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replaceAll("~", "\\(ti")
    .replaceAll("^", "\\(ha")
    .replaceAll("`", "\\(ga")
    .replaceAll('"', "\\(dq")
    .replaceAll("'", "\\(aq")
    .replaceAll("…", "...")
    .replaceAll("–", "\\(en")
    .replace(/^\./, "\\&.");
}
