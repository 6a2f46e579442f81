/**
 * sbx: runs commands in virtual machines and decides every flow they open.
 *
 * @module
 */
import process from "node:process";
import { fault, main } from "./lib/cli/cli.ts";
import { closedStreams } from "./lib/host/closed_streams.ts";
import { ownArguments, ownEnvironment } from "./lib/host/own_strings.ts";

for (const event of ["uncaughtException", "unhandledRejection"] as const) {
  process.on(event, (error) => process.exit(fault(error)));
}
const argv = ownArguments(process.argv.slice(2));
if (argv[0] === "__supervise") {
  const { superviseHere } = await import("./lib/supervise/process.ts");
  process.exit(await superviseHere(argv[1] ?? ""));
}
if (argv[0] === "__sandbox") {
  const { serveProgram } = await import("./lib/supervise/program_sandbox.ts");
  process.exit(await serveProgram());
}
process.exit(
  await main(argv, { environment: ownEnvironment, closedStreams: closedStreams() }),
);
