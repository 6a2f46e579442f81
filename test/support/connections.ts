/**
 * What the fake internet has open.
 *
 * @module
 */
import type { World } from "./world.ts";

/** Connections of the host that live, as the internet sees them: `address:port` of its own ends. */
export async function connectionsOf(world: World): Promise<readonly string[]> {
  const { stdout } = await world.run(world.outside(["ss", "-Htn", "state", "established"]));
  return stdout.trim().split("\n").filter(Boolean)
    .map((line) => line.trim().split(/\s+/)[2]?.replace(/^\[::ffff:(.*)\]:/, "$1:") ?? "");
}
