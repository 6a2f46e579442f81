/** Writes into a file which standard streams each system takes for closed. */
import { writeFileSync } from "node:fs";
import process from "node:process";
import { linuxSystem } from "../../lib/host/linux/system.ts";
import { macSystem } from "../../lib/host/macos/system.ts";
import { macCallsOfLinux } from "./mac_calls.ts";

const systems = process.platform === "darwin"
  ? [macSystem()]
  : [linuxSystem(), macSystem(() => macCallsOfLinux())];
const found = systems.map(({ name, processes }) => [
  name,
  ([0, 1, 2] as const).filter((fd) => processes.isFilledIn(fd)),
]);
writeFileSync(process.argv[2] ?? "", JSON.stringify(Object.fromEntries(found)));
