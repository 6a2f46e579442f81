/**
 * What QEMU has of the system that it runs on. `lib/host/linux` and `lib/host/macos` say it.
 *
 * @module
 */
import type { Accelerator } from "./args.ts";

export interface QemuPlatform {
  readonly system: "Linux" | "macOS";
  /** What runs guests here where the machine can. */
  readonly hypervisor: Exclude<Accelerator, "tcg">;
  /** Where packages put programs, looked at behind the directories of the PATH. */
  readonly places: readonly string[];
  /** How to come by QEMU. */
  readonly install: string;
  /**
   * A process's own open files as paths, which QEMU opens anew. Absent: such a path is the open file itself,
   * with the place where the last reader left it, so QEMU gets the files' own paths.
   */
  readonly openFiles?: string;
  /** Whether QEMU can refuse itself system calls that it does not need (`-sandbox`). */
  readonly filtersCalls: boolean;
  /** Whether there are file daemons (virtiofsd) for it. */
  readonly hasFileDaemons: boolean;
  /** Whether a QEMU that goes on from a template can be kept from changing it. */
  readonly hasTemplates: boolean;
  /** Whether QEMU can be another user than the one that calls sbx. */
  readonly hasOtherUsers: boolean;
}
