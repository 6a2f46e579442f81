/**
 * wheel_url PAGE BASE WHEEL: prints the address of one file on a package index's page (PEP 503).
 * Indexes write their links absolute or relative to the page, which no shell resolves well.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import process from "node:process";

const [page = "", base = "", wheel = ""] = process.argv.slice(2);
for (
  const [, href = "", text] of readFileSync(page, "utf8").matchAll(
    /<a\s[^>]*?href="([^"]*)"[^>]*>\s*([^<]*?)\s*<\/a>/gi,
  )
) {
  if (text !== wheel) continue;
  const url = new URL(href.replaceAll("&amp;", "&"), base);
  url.hash = ""; // The page's own digest; ours comes from the lock.
  process.stdout.write(url.href);
  process.exit(0);
}
process.exit(1);
