/**
 * What a crash of this process leaves on disk.
 *
 * @module
 */
import { writeFileSync } from "node:fs";

/**
 * From here on core dumps of this process, and of all that it starts, have no memory in them, whoever
 * collects them; see core(5). Where the kernel has no such switch (macOS) the limit on their size is
 * nothing unless somebody raised it.
 */
export function withoutCoreDumps(): void {
  try {
    writeFileSync("/proc/self/coredump_filter", "0");
  } catch {
    // a kernel built without core dumps, or another system
  }
}
