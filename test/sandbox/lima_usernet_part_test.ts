import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { openUsernetHome } from "../../lib/host/lima/usernet_home.ts";
import { serveUsernet } from "../../lib/host/lima/usernet_server.ts";
import { usernetPart } from "../../lib/sandbox/lima_usernet_part.ts";

const TOP = realpathSync(mkdtempSync(join(tmpdir(), "sbx-up-")));
const HOME = join(TOP, "dev");
const NETWORK = join(HOME, "_networks/sbx");

afterAll(() => rmSync(TOP, { recursive: true, force: true }));

/** As Lima asks before it signals; undefined: nobody answers. */
function leases(): Promise<number | undefined> {
  return new Promise((resolve) => {
    const path = "/services/dhcp/leases";
    const asked = request({ socketPath: join(NETWORK, "sbx_ep.sock"), path }, (answer) => {
      answer.resume();
      resolve(answer.statusCode);
    });
    asked.once("error", () => resolve(undefined));
    asked.end();
  });
}

const named = () => readFileSync(join(NETWORK, "usernet_sbx.pid"), "utf8").trim();

test("a Lima that has read who is behind the network is answered for a while after his end", async () => {
  const place = await openUsernetHome(HOME);
  const server = await serveUsernet({
    path: place.sockets.ep,
    guest: { ip4: "192.168.5.15", mac: "52:55:55:00:00:01" },
    expose: () => Promise.resolve(),
    unexpose: () => {},
    notice: () => {},
  });
  place.announce();
  expect(named()).toBe(`${process.pid}`);
  const late = Promise.withResolvers<void>();
  const part = usernetPart(place, Promise.resolve(server), () => late.promise);
  const stopped = part.stop();
  expect([named(), await leases()]).toEqual(["", 200]);
  // Nobody else has the place meanwhile, whose sockets would go with these.
  await expect(openUsernetHome(HOME)).rejects.toMatchObject({ code: "LIMA_INSTANCE" });
  late.resolve();
  await stopped;
  await part.gone;
  expect(await leases()).toBeUndefined();
  const next = await openUsernetHome(HOME);
  const never = usernetPart(next, Promise.resolve(undefined), () => {
    throw new Error("Lima never heard of it");
  });
  await never.stop();
  await never.gone;
  (await openUsernetHome(HOME)).remove();
});
