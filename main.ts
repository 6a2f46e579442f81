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
process.exit(
  await main(ownArguments(process.argv.slice(2)), {
    environment: ownEnvironment,
    closedStreams: closedStreams(),
  }),
);
