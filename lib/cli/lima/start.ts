/**
 * `sbx lima start`: a guest of Lima's, which is made when there is none of the name.
 *
 * @module
 */
import type { Command } from "commander";
import process from "node:process";
import {
  forgetLimaChanges,
  keepLimaArguments,
  Limactl,
  placeOf,
  requireLimaName,
} from "../../api/lima.ts";
import { SbxError } from "../../mod.ts";
import { type CommandHost, examples } from "../command.ts";
import { OK } from "../exit.ts";
import { DRIVER, findInstance, requireInstance, requireName } from "./instances.ts";
import { declareLimaFlags, parsed } from "./network.ts";
import { ui } from "../ui.ts";
import { parseDuration } from "../values.ts";

/** Of one start, and Lima's to know: it is not kept for the next. */
const START_TIMEOUT = "--start-timeout";

export function declare(command: Command): void {
  command.argument("<name>", "of the guest")
    .argument("[template]", "of Lima's, a yaml file or one like template:debian: to make it from");
  command.option(
    `${START_TIMEOUT} <duration>`,
    "how long Lima waits for the guest at this start, 10m otherwise",
    (text) => parseDuration(START_TIMEOUT, text),
  );
  declareLimaFlags(command);
  examples(command, [
    ["sbx lima start dev template:debian", "a Debian guest with public addresses open"],
    ["sbx lima start dev --policy none --allow .debian.org", "the same one, with another policy"],
    ["sbx lima start dev -p 8080:80 --tls-intercept", "a published port, and TLS opened"],
  ]);
}

/**
 * What every guest of sbx's has in its yaml: no way for Lima to lead around the policy, and no download
 * of containerd, which Lima would make for the guest from here.
 */
const GOVERNED = [
  `.vmType = "${DRIVER}"`,
  ".plain = true",
  ".networks = []",
  ".mounts = []",
  ".portForwards = []",
  ".containerd.system = false",
  ".containerd.user = false",
  ".ssh.forwardAgent = false",
  // Which policy it has is for who starts it, not for a template.
  "del(.vmOpts.sbx)",
].join(" | ");

/** Where an instance is that is yet to be made. */
const NOWHERE = "";

export async function run(command: Command, _host: CommandHost): Promise<number> {
  const [name = "", template] = command.args;
  requireName(name);
  const { startTimeout } = command.opts<{ startTimeout?: number }>();
  const argv = optionWords(command, wordsAfter("start"));
  await parsed(argv); // what is wrong with them is said before anything is made
  const limactl = await Limactl.open();
  const before = await findInstance(limactl, name);
  if (before === undefined) await requireLimaName({ name, directory: NOWHERE });
  if (before !== undefined && template !== undefined) {
    throw new SbxError("USAGE", `Cannot make ${name} from ${template}: it is there already`, {
      hint: `start it without a template, or remove it with 'sbx lima rm ${name}'`,
    });
  }
  if (before === undefined) {
    if (template === undefined) {
      throw new SbxError("USAGE", `Cannot start ${name}: there is no such guest`, {
        hint: `name a template to make it from: sbx lima start ${name} template:debian`,
      });
    }
    const made = await limactl.run(
      "create",
      "--tty=false",
      `--name=${name}`,
      `--set=${GOVERNED}`,
      template,
    );
    if (made !== OK) return made;
  }
  const { dir, status } = await requireInstance(limactl, name);
  if (status === "Running") {
    throw new SbxError("USAGE", `Cannot start ${name}: it runs already`, {
      hint: `stop it with 'sbx lima stop ${name}'`,
    });
  }
  if (argv.length > 0 || before === undefined) {
    await keepLimaArguments(dir, { directory: process.cwd(), argv });
    await forgetLimaChanges(placeOf({ name, dir }));
  }
  const waits = startTimeout === undefined ? [] : [`--timeout=${Math.ceil(startTimeout)}ms`];
  const started = await limactl.run("start", "--tty=false", ...waits, name);
  if (started !== OK) return started;
  ui.notice(`${name} runs; enter it with 'sbx lima shell ${name}'`);
  return OK;
}

/** What was typed behind a command's name; only `-q` can stand before it. */
function wordsAfter(name: string): readonly string[] {
  return process.argv.slice(process.argv.indexOf(name, 2) + 1);
}

/** The options as they were written: Lima's driver reads those that are the guest's again, in a process of its own. */
export function optionWords(command: Command, words: readonly string[]): readonly string[] {
  const found: string[] = [];
  for (let at = 0; at < words.length && words[at] !== "--"; at++) {
    const word = words[at] ?? "";
    if (!word.startsWith("-")) continue;
    const option = command.options.find(({ short, long }) => short === word || long === word);
    const value = option?.required === true ? [words[++at] ?? ""] : [];
    if (word.split("=", 1)[0] !== START_TIMEOUT) found.push(word, ...value);
  }
  return found;
}
