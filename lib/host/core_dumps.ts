/**
 * What a crash of this process leaves on disk.
 *
 * @module
 */
import { ownSystem } from "./own_system.ts";

/** From here on core dumps of this process, and of all that it starts, have no memory in them. */
export function withoutCoreDumps(): void {
  ownSystem().processes.withoutCoreDumps();
}
