/**
 * Asks a guest of Lima's for its network cards. Devices of software alone, as container engines make them,
 * are on none.
 *
 * @module
 */
import type { Guest } from "../guest/guest.ts";

const LIST = 'for d in /sys/class/net/*; do [ ! -e "$d/device" ] || cat "$d/address"; done';

/** No guest has more cards than fit here; one that says so has too many. */
const MOST = 4_096;
const SIGKILL = 9;

/** Their hardware addresses, as the guest says. @throws SbxError GUEST_FAILED */
export async function guestCards(guest: Pick<Guest, "exec">): Promise<readonly string[]> {
  const command = guest.exec({ argv: ["sh", "-c", LIST], env: {}, cwd: "/", stdin: false });
  const decoder = new TextDecoder();
  let text = "";
  for await (const bytes of command.stdout) {
    text += decoder.decode(bytes, { stream: true });
    if (text.length > MOST) {
      command.signal(SIGKILL); // which nobody waits for
      break;
    }
  }
  if (text.length <= MOST) await command.exit;
  return text.split("\n").filter((line) => line !== "");
}
