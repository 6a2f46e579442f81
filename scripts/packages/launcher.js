#!/usr/bin/env node
// Becomes the binary of this platform, which npm has installed beside this package.
import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { constants } from "node:os";
import process from "node:process";

const name = `@sbx-dev/${process.platform}-${process.arch}`;
const argv = process.argv.slice(2);
let binary;
try {
  binary = createRequire(import.meta.url).resolve(`${name}/bin/sbx`);
} catch {
  process.stderr.write(
    `sbx: cannot run: the package ${name} is not installed\n` +
      "hint: install without --omit=optional, on Linux or macOS, on x64 or arm64\n",
  );
  process.exit(125);
}

if (process.execve !== undefined && process.versions.bun === undefined) {
  process.execve(binary, [binary, ...argv], process.env);
}
const child = spawn(binary, argv, { stdio: "inherit" });
// The terminal sends its signals to both; others are passed on.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"]) {
  process.on(signal, () => signal === "SIGINT" && process.stdin.isTTY || child.kill(signal));
}
child.on("exit", (status, signal) => {
  process.exit(signal === null ? status : 128 + constants.signals[signal]);
});
