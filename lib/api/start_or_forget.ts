/**
 * The first start of a named sandbox that was made to run.
 *
 * @module
 */
import type { RemoveNamedOptions, StartNamedOptions } from "./named_options.ts";

interface Startable {
  start(options: StartNamedOptions): Promise<void>;
  remove(options: RemoveNamedOptions): Promise<void>;
}

/** One that cannot be started is not kept. @throws SbxError what the start failed of */
export async function startOrForget(sandbox: Startable, options: StartNamedOptions): Promise<void> {
  try {
    await sandbox.start(options);
  } catch (error) {
    await sandbox.remove({ force: true }).catch(() => {}); // the start says why it failed
    throw error;
  }
}
