/**
 * The same for several sandboxes: what fails for one is told, and the others have their turn.
 *
 * @module
 */
import { SbxError } from "../../mod.ts";
import { OK, statusOf } from "../exit.ts";
import { ui } from "../ui.ts";

/** The status is that of the first failure. */
export async function forEach(
  names: readonly string[],
  act: (name: string) => Promise<void>,
): Promise<number> {
  const [only, ...others] = names;
  if (only !== undefined && others.length === 0) {
    await act(only);
    return OK;
  }
  let status = OK;
  for (const name of new Set(names)) {
    try {
      await act(name);
    } catch (error) {
      if (!(error instanceof SbxError)) throw error;
      ui.error(error);
      if (status === OK) status = statusOf(error);
    }
  }
  return status;
}
