/** Takes the place of Lima's daemon up to a step, says so, and waits to be killed: `usernet_steps.ts HOME STEP`. */
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { openUsernetHome } from "../../../lib/host/lima/usernet_home.ts";

const [home = "", step = ""] = process.argv.slice(2);
if (step === "replaced") {
  (await openUsernetHome(home)).leave();
  const network = join(home, "_networks/sbx");
  chmodSync(network, 0o755);
  writeFileSync(join(network, "stray"), "");
}
const place = await openUsernetHome(home);
if (step !== "opened") {
  for (const path of Object.values(place.sockets)) writeFileSync(path, "");
  if (step !== "listening") place.announce();
  if (step === "left") place.leave();
}
process.stdout.write(`${step}\n`);
setInterval(() => {}, 1000);
