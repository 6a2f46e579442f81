/**
 * `sbx ssh`: this machine's ssh, led to a sandbox over the host-guest channel.
 *
 * @module
 */
import type { Command } from "commander";
import { runSsh } from "../../api/ssh.ts";
import { Sandbox } from "../../mod.ts";
import { examples } from "../command.ts";
import { requireRunning } from "./running.ts";

/** Options of ssh that are passed on as they are; those with a value may be given more than once. */
const SWITCHES = {
  N: "run no command, only forward",
  t: "give a command a terminal, too",
  T: "give nothing one",
  v: "have ssh say what it does",
} as const;
const VALUES = {
  L: ["<[bind:]port:host:hostport>", "lead a port of this machine to one that the guest reaches"],
  D: ["<[bind:]port>", "be a SOCKS proxy here, which connects from the guest"],
  o: ["<option>", "any option of ssh_config(5)"],
} as const;

type Flags =
  & { readonly user?: string; readonly l?: string }
  & Readonly<Partial<Record<keyof typeof SWITCHES, true>>>
  & Readonly<Partial<Record<keyof typeof VALUES, readonly string[]>>>;

export function declare(command: Command): void {
  command
    .argument("<sandbox>", "its name, with USER@ in front for another user of the guest")
    .argument("[command...]", "what to run: words that the guest's shell reads, as ssh has it")
    .passThroughOptions()
    .option("-u, --user <name>", "log in as this user of the guest")
    .option("-l <name>", "the same, as ssh has it");
  for (const [letter, [value, meaning]] of Object.entries(VALUES)) {
    const gather = (text: string, before: readonly string[] = []) => [...before, text];
    command.option(`-${letter} ${value}`, meaning, gather);
  }
  for (const [letter, meaning] of Object.entries(SWITCHES)) {
    command.option(`-${letter}`, meaning);
  }
  examples(command, [
    ["sbx ssh dev", "a login shell"],
    ["sbx ssh -N -L 8080:localhost:80 dev", "a port of this machine, led into the guest"],
    ["rsync -a -e 'sbx ssh' src/ dev:/srv/src/", "files both ways; rsync has to be in both"],
    ["GIT_SSH_COMMAND='sbx ssh' git push dev:/srv/app.git", "and git"],
  ]);
}

export async function run(command: Command): Promise<number> {
  const flags = command.opts<Flags>();
  const [place = "", ...given] = command.args;
  const words = given[0] === "--" ? given.slice(1) : given;
  const at = place.lastIndexOf("@");
  await using sandbox = await Sandbox.get(place.slice(at + 1));
  await requireRunning(sandbox, "log in to");
  const config = await sandbox.ssh.config();
  const user = flags.user ?? flags.l ?? (at > 0 ? place.slice(0, at) : config.user);
  return await runSsh({ ...config, user }, passedOn(flags), words);
}

function passedOn(flags: Flags): string[] {
  return [
    ...letters(VALUES).flatMap((letter) =>
      (flags[letter] ?? []).flatMap((text) => [`-${letter}`, text])
    ),
    // Said twice, a terminal is given also where this command's own input is none.
    ...letters(SWITCHES).filter((letter) => flags[letter])
      .map((letter) => letter === "t" ? "-tt" : `-${letter}`),
  ];
}

function letters<Letter extends string>(table: Readonly<Record<Letter, unknown>>): Letter[] {
  return Object.keys(table) as Letter[];
}
