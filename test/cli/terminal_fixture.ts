/**
 * `ask` prints what a job in its place gets. Otherwise makes its terminal raw, prints the modes, and
 * ends in the way that its argument names.
 */
import { execFileSync } from "node:child_process";
import process from "node:process";
import { enterRaw, mayReadInput, terminalSize, wantsTerminal } from "../../lib/cli/terminal.ts";

const [how] = process.argv.slice(2);
process.stdout.write(`terminal=${wantsTerminal(undefined)} input=${mayReadInput()}\n`);
if (how === "ask") process.exit(0);
const leave = enterRaw(() => {});
const modes = execFileSync("stty", ["-a"], { stdio: ["inherit", "pipe", "inherit"] }).toString();
const raw = ["-icanon", "-echo", "-isig", "-opost"].every((mode) => modes.includes(mode));
const { columns, rows } = terminalSize();
process.stdout.write(`raw=${raw} size=${columns}x${rows}\r\n`);
if (how === "leave") leave();
if (how === "throw") throw new Error("a fault on purpose");
process.exit(0);
