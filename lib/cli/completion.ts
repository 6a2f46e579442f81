/**
 * `sbx completion`: a shell's script that completes the words of sbx.
 *
 * @module
 */
import { Argument, type Command } from "commander";
import { examples } from "./command.ts";
import { COMPLETION_SCRIPTS, type Shell } from "./completion_scripts.ts";
import { OK } from "./exit.ts";
import { ui } from "./ui.ts";

export function declare(command: Command): void {
  const shells = Object.keys(COMPLETION_SCRIPTS);
  command.addArgument(new Argument("<shell>", "the shell that reads it").choices(shells));
  examples(command, [
    ["source <(sbx completion bash)", "in ~/.bashrc"],
    ["sbx completion zsh > ~/.zfunc/_sbx", "in a directory of zsh's fpath"],
    ["sbx completion fish > ~/.config/fish/completions/sbx.fish", "where fish looks for it"],
    ["sbx completion powershell | Out-String | Invoke-Expression", "in PowerShell's $PROFILE"],
  ]);
}

export function run(command: Command): Promise<number> {
  ui.out(COMPLETION_SCRIPTS[command.args[0] as Shell]);
  return Promise.resolve(OK);
}
