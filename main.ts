/**
 * sbx: runs commands in virtual machines and decides every flow they open.
 *
 * @module
 */
import process from "node:process";
import { main } from "./lib/cli/cli.ts";

process.exit(await main(process.argv.slice(2)));
