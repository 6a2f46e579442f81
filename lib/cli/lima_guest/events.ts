/**
 * What `sbx lima-guest` says to Lima's driver: one JSON object a line on standard output.
 *
 * @module
 */
import { type ErrorCode, SbxError } from "../../mod.ts";
import { FAILED, OK } from "../exit.ts";
import { ui } from "../ui.ts";

export type LimaEvent =
  /** The instance as it is to be. */
  | { readonly event: "configured"; readonly instance: unknown }
  /** Its yaml is; these variables are what values of its secrets are read of. */
  | { readonly event: "configured"; readonly variables: readonly string[] }
  /** It may run; or it was forgotten, as it was to be. */
  | { readonly event: "accepted" }
  /** It may not, or does not. */
  | {
    readonly event: "refused";
    readonly message: string;
    readonly hint?: string;
    readonly code: ErrorCode;
  }
  /** One of Lima's own drivers may start it. */
  | { readonly event: "listening" }
  /** Its guest runs. */
  | { readonly event: "running" }
  /** Its guest is gone; `message` says why when nobody asked for it. */
  | { readonly event: "ended"; readonly message?: string; readonly code?: ErrorCode };

/** Where standard error goes of what Lima's driver `sbx` starts. */
export const DRIVER_LOG = "driver.stderr.log";

export async function say(event: LimaEvent): Promise<void> {
  ui.out(`${JSON.stringify(event)}\n`);
  await ui.flush();
}

/**
 * Says what the work comes to, or why there is nothing; resolves to the exit status. `log`: where
 * standard error goes.
 */
export async function answering(
  work: () => Promise<LimaEvent>,
  log = () => DRIVER_LOG,
): Promise<number> {
  try {
    await say(await work());
    return OK;
  } catch (error) {
    if (!(error instanceof SbxError)) throw error;
    const { message, hint, code, others } = error;
    ui.error(error);
    const more = others.length === 0 ? "" : ` (and ${others.length} more, see ${log()})`;
    await say({
      event: "refused",
      message: message + more,
      code,
      ...(hint === undefined ? {} : { hint }),
    });
    return FAILED;
  }
}
