/**
 * A sandbox in this process, for the program that sbx itself is: it owns the terminal, and has nobody between itself
 * and the guest. Programs that use the library have theirs in a process of its own; see `SandboxBuilder.create`.
 *
 * @module
 */
import type { Sandbox } from "../sandbox/sandbox.ts";
import { BEGUN, type SandboxBuilder } from "./sandbox_builder.ts";

/** This process is ended when it hangs and its sandbox was ended already. @throws as `SandboxBuilder.create` */
export async function startHere(builder: SandboxBuilder, signal: AbortSignal): Promise<Sandbox> {
  const { start } = await import("../sandbox/start.ts");
  return await start(await builder[BEGUN](), {
    signal,
    endsProcess: true,
    makesTemplate: true,
  });
}
