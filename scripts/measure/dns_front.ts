/**
 * The name service in a process of its own, on a port of loopback, as `dns.ts` measures it:
 * `dns_front.ts UPSTREAM_PORT LIST`. LIST is a file of names to block, or empty. Prints what reading
 * it took and its port; ends with its stdin.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import process from "node:process";
import { Pins } from "../../lib/dns/pins.ts";
import { createDns } from "../../lib/dns/service.ts";
import { createUpstream } from "../../lib/dns/upstream.ts";
import { snapshotOf } from "../../lib/judge/snapshot.ts";
import { readNameList } from "../../lib/policy/model/name_list.ts";
import { NameSet } from "../../lib/policy/model/name_set.ts";
import { publicOnly } from "../../lib/policy/model/presets.ts";
import { serveDns } from "../../test/support/dns_front.ts";

const [upstreamPort = "53", list = ""] = process.argv.slice(2);
const blocked = new NameSet();
const before = process.memoryUsage().rss;
const start = performance.now();
if (list !== "") readNameList(readFileSync(list, "utf8"), list, "name", blocked);
const milliseconds = performance.now() - start;
const mebibytes = (process.memoryUsage().rss - before) / (1 << 20);

const pins = new Pins();
const nowhere = { addresses: [], links: [] };
const snapshot = snapshotOf({ policy: publicOnly(), blocked }, nowhere, pins);
const upstream = createUpstream({
  resolvers: [{ address: "127.0.0.1", port: Number(upstreamPort) }],
});
const { port } = await serveDns(createDns({
  snapshot: () => snapshot,
  pins,
  upstream,
  onEvent: () => {},
  // What one sandbox may ask is not what the service could answer.
  limits: { queriesPerSecond: 1e9, burst: 1e9 },
}));
process.stdout.write(`${JSON.stringify({ port, milliseconds, mebibytes })}\n`);
process.stdin.on("end", () => process.exit(0)).resume();
