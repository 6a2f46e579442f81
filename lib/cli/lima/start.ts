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
  openUsernetHome,
  placeOf,
  requireLimaName,
  USERNET,
  usernetHome,
} from "../../api/lima.ts";
import { SbxError } from "../../mod.ts";
import { type CommandHost, examples } from "../command.ts";
import { OK } from "../exit.ts";
import {
  findInstance,
  limactlOf,
  requireInstance,
  requireName,
  startInstance,
} from "./instances.ts";
import { defaultDriver, DRIVER, type Driver, driverNamed } from "./drivers.ts";
import { declareLimaFlags, parsed } from "./network.ts";
import { ui } from "../ui.ts";
import { parseDuration } from "../values.ts";

/** Of one start, and Lima's to know: it is not kept for the next. */
const START_TIMEOUT = "--start-timeout";

export function declare(command: Command): void {
  command.argument("<name>", "of the guest")
    .argument("[template]", "of Lima's, a yaml file or one like template:debian: to make it from");
  command.option(
    "--driver <name>",
    "of Lima's: sbx runs the guest in a QEMU of its own (the default; Linux), qemu (Linux) and vz (macOS) are Lima's own",
  );
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
function governed(driver: Driver): string {
  const networks = driver === DRIVER ? "[]" : `[{"lima": "${USERNET}"}]`;
  return [
    `.vmType = "${driver}"`,
    ".plain = true",
    `.networks = ${networks}`,
    ".mounts = []",
    ".portForwards = []",
    ".copyToHost = []",
    ".hostResolver.hosts = {}",
    ".containerd.system = false",
    ".containerd.user = false",
    ".ssh.forwardAgent = false",
    ...(driver === DRIVER ? [] : [".ssh.overVsock = false"]),
    // Which policy it has is for who starts it, not for a template.
    "del(.vmOpts.sbx)",
  ].join(" | ");
}

/** Where an instance is that is yet to be made. */
const NOWHERE = "";

export async function run(command: Command, _host: CommandHost): Promise<number> {
  const [name = "", template] = command.args;
  requireName(name);
  const { driver, startTimeout } = command.opts<{ driver?: string; startTimeout?: number }>();
  const asked = driverNamed(driver, process.platform);
  const argv = optionWords(command, wordsAfter("start"));
  await parsed(argv); // what is wrong with them is said before anything is made
  const found = await findInstance(await limactlOf(name), name);
  if (found === undefined) await requireLimaName({ name, directory: NOWHERE });
  if (found !== undefined && template !== undefined) {
    throw new SbxError("USAGE", `Cannot make ${name} from ${template}: it is there already`, {
      hint: `start it without a template, or remove it with 'sbx lima rm ${name}'`,
    });
  }
  if (found !== undefined && asked !== undefined && asked !== found.vmType) {
    throw new SbxError(
      "USAGE",
      `Cannot start ${name} with ${asked}: Lima has it for ${found.vmType}`,
      {
        hint: "leave --driver out, or make another guest",
      },
    );
  }
  if (found === undefined) {
    if (template === undefined) {
      throw new SbxError("USAGE", `Cannot start ${name}: there is no such guest`, {
        hint: `name a template to make it from: sbx lima start ${name} template:debian`,
      });
    }
    const made = await make(name, template, asked ?? defaultDriver(process.platform));
    if (made !== OK) return made;
  }
  const limactl = await limactlOf(name);
  const instance = await requireInstance(limactl, name);
  const { dir, status } = instance;
  if (status === "Running") {
    throw new SbxError("USAGE", `Cannot start ${name}: it runs already`, {
      hint: `stop it with 'sbx lima stop ${name}'`,
    });
  }
  if (argv.length > 0 || found === undefined) {
    await keepLimaArguments(dir, { directory: process.cwd(), argv });
    await forgetLimaChanges(placeOf({ name, dir }));
  }
  const waits = startTimeout === undefined ? [] : [`--timeout=${Math.ceil(startTimeout)}ms`];
  const started = await startInstance(limactl, instance, waits);
  if (started !== OK) return started;
  ui.notice(`${name} runs; enter it with 'sbx lima shell ${name}'`);
  return OK;
}

/** Resolves to limactl's exit status. A home is nobody else's while the guest is made in it. */
async function make(name: string, template: string, driver: Driver): Promise<number> {
  const path = driver === DRIVER ? undefined : usernetHome(name);
  const home = path === undefined ? undefined : await openUsernetHome(path);
  try {
    const limactl = await Limactl.open(path);
    const set = `--set=${governed(driver)}`;
    const made = await limactl.run("create", "--tty=false", `--name=${name}`, set, template);
    // Lima takes back what it had made; what is there all the same was there before, and stays.
    if (made !== OK) home?.remove();
    return made;
  } finally {
    home?.leave();
  }
}

/** What was typed behind a command's name; only `-q` can stand before it. */
function wordsAfter(name: string): readonly string[] {
  return process.argv.slice(process.argv.indexOf(name, 2) + 1);
}

/** What is not the guest's to have at its next start. */
const OURS = ["--driver", START_TIMEOUT];

/** The options as they were written: Lima's driver reads those that are the guest's again, in a process of its own. */
export function optionWords(command: Command, words: readonly string[]): readonly string[] {
  const found: string[] = [];
  for (let at = 0; at < words.length && words[at] !== "--"; at++) {
    const word = words[at] ?? "";
    if (!word.startsWith("-")) continue;
    const option = command.options.find(({ short, long }) => short === word || long === word);
    const value = option?.required === true ? [words[++at] ?? ""] : [];
    if (!OURS.includes(word.split("=", 1)[0] ?? "")) found.push(word, ...value);
  }
  return found;
}
