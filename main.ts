/**
 * sbx: runs commands in virtual machines and decides every flow they open.
 *
 * @module
 */
import process from "node:process";
import { fault, main } from "./lib/cli/cli.ts";

for (const event of ["uncaughtException", "unhandledRejection"] as const) {
  process.on(event, (error) => process.exit(fault(error)));
}
process.exit(await main(process.argv.slice(2)));
