/**
 * Where network measurements happen: the tests' world without its recording servers, and in their place one
 * that does as little as a server can.
 *
 * @module
 */
import { join } from "node:path";
import { buildGo } from "../../test/support/build.ts";
import { PUBLIC } from "../../test/support/places.ts";
import { run, start, until } from "../../test/support/process.ts";
import { openWorld, type World } from "../../test/support/world.ts";

/** Every address of it is served, so that there is always one that nobody has asked for before. */
export const FRESH = "45.0.0.0/8";
export const SERVER = PUBLIC;
export const ECHO = `${SERVER}:7`;
export const BULK = `${SERVER}:9000`;

export interface BenchWorld {
  readonly world: World;
  /** The load client. */
  readonly load: string;
  /** A path in the scratch directory. */
  scratch(name: string): string;
  [Symbol.asyncDispose](): Promise<void>;
}

export async function openBenchWorld(): Promise<BenchWorld> {
  const world = await openWorld({ bare: true });
  const load = buildGo("load");
  await run(world.outside(["ip", "route", "add", "local", FRESH, "dev", "lo"]));
  const server = start(world.outside([load, "serve", "--to", SERVER]), { limit: 3_600 });
  await until("the measurements' server", () => server.stdout().includes("serving"));
  return {
    world,
    load,
    scratch: (name) => join(world.scratch, name),
    async [Symbol.asyncDispose]() {
      server.child.stdin?.end();
      await server.ended;
      await world[Symbol.asyncDispose]();
    },
  };
}
