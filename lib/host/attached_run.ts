/**
 * A program that is run in this process's place: with its streams, its terminal and its signals.
 *
 * @module
 */
import { spawn } from "node:child_process";
import { constants } from "node:os";
import process from "node:process";

/** What a terminal sends to the whole group; the program has it from there, and decides. */
const OF_THE_GROUP = ["SIGINT", "SIGQUIT"] as const;

/** What somebody sends to this process alone. */
const PASSED = ["SIGTERM", "SIGHUP"] as const;

/** Resolves to its exit status, 128 and the signal's number where one ended it. @throws the system's error */
export async function runAttached([program = "", ...argv]: readonly string[]): Promise<number> {
  const child = spawn(program, argv, { stdio: "inherit" });
  const listeners = [
    ...OF_THE_GROUP.map((name) => [name, () => {}] as const),
    ...PASSED.map((name) => [name, () => void child.kill(name)] as const),
  ];
  for (const [name, listener] of listeners) process.on(name, listener);
  try {
    return await new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("exit", (code, signal) => {
        resolve(signal === null ? code ?? 1 : 128 + constants.signals[signal]);
      });
    });
  } finally {
    for (const [name, listener] of listeners) process.off(name, listener);
  }
}
