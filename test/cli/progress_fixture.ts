/** Waits for so many milliseconds, says a notice just before the end, and answers. */
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { ui } from "../../lib/cli/ui.ts";

const [ms = "", quiet] = process.argv.slice(2);
if (quiet !== undefined) ui.quiet();
await ui.during(
  "waiting",
  (async () => {
    await delay(Number(ms));
    ui.notice("a notice");
    await delay(1200);
  })(),
);
ui.line("the answer");
