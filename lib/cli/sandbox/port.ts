/**
 * `sbx port add`, `rm` and `ls`: the published ports of a sandbox that runs.
 *
 * @module
 */
import type { Command } from "commander";
import { type PublishedPort, Sandbox } from "../../mod.ts";
import { type CommandModule, examples } from "../command.ts";
import { OK } from "../exit.ts";
import { jsonText } from "../json.ts";
import { parsePublications } from "../publications.ts";
import { ui } from "../ui.ts";
import { usage } from "../values.ts";
import { portsText } from "./info_text.ts";
import { requireRunning } from "./running.ts";

export const add: CommandModule = {
  declare(command: Command): void {
    command
      .argument("<sandbox>", "its name")
      .argument("<ports...>", "[[BIND:]HOST:]GUEST[/udp], as of sbx run -p");
    examples(command, [[
      "sbx port add web 8080:80",
      "lead port 8080 of this machine to its port 80",
    ]]);
  },
  async run(command: Command): Promise<number> {
    const [name = "", ...texts] = command.args;
    const publications = texts.flatMap(parsePublications);
    await using sandbox = await Sandbox.get(name);
    for (const publication of publications) tell(await sandbox.publish(publication));
    return OK;
  },
};

export const rm: CommandModule = {
  declare(command: Command): void {
    command
      .argument("<sandbox>", "its name")
      .argument("<ports...>", "ports of this machine: 8080, or 5353/udp");
    examples(command, [[
      "sbx port rm web 8080",
      "close it, and the connections that came in there",
    ]]);
  },
  async run(command: Command): Promise<number> {
    const [name = "", ...texts] = command.args;
    const selections = texts.map(selectionOf);
    await using sandbox = await Sandbox.get(name);
    for (const selection of selections) {
      const { ports, connections } = await sandbox.unpublish(selection);
      tell(ports);
      if (connections > 0) ui.notice(`cut ${connections} of its connections`);
    }
    return OK;
  },
};

export const ls: CommandModule = {
  declare(command: Command): void {
    command.argument("<sandbox>", "its name").option("--json", "print one JSON array");
    examples(command, [["sbx port ls web", "what listens for it"]]);
  },
  async run(command: Command): Promise<number> {
    const { json } = command.opts<{ json?: true }>();
    await using sandbox = await Sandbox.get(command.args[0] ?? "");
    await requireRunning(sandbox, "list the ports of");
    const { published } = await sandbox.info();
    if (json) ui.out(jsonText(published));
    else tell(published);
    return OK;
  },
};

function tell(ports: readonly PublishedPort[]): void {
  for (const port of ports) ui.line(portsText([port]));
}

function selectionOf(text: string) {
  const [, digits, protocol] = /^(\d{1,5})(?:\/(tcp|udp))?$/.exec(text) ?? [];
  const port = Number(digits ?? 0);
  if (port < 1 || port > 65_535) {
    throw usage("<ports>", text, "not a port of this machine", "write it like 8080 or 5353/udp");
  }
  return { port, ...(protocol === undefined ? {} : { protocol: protocol as "tcp" | "udp" }) };
}
