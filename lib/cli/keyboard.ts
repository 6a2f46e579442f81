/**
 * What is typed at a raw terminal: most of it is the command's, and some ends the command.
 *
 * @module
 */
import { EscapeKey } from "./escape_key.ts";
import { CTRL_C, Interrupts } from "./interrupts.ts";
import type { Signals } from "./signals.ts";
import { ui } from "./ui.ts";
import { formatKey } from "./values.ts";

export class Keyboard {
  readonly #signals: Signals;
  readonly #key: number | null;
  readonly #escape: EscapeKey;
  readonly #interrupts = new Interrupts();

  /** `key`: a byte of ASCII, null for none. */
  constructor(signals: Signals, key: number | null) {
    this.#signals = signals;
    this.#key = key;
    this.#escape = new EscapeKey(key);
  }

  /** Does what typed bytes ask of sbx; returns those for the command. */
  sort(typed: Uint8Array): Uint8Array {
    const { keys, asked } = this.#escape.sort(typed);
    // Several at once were typed faster than the command could have answered, and count as one.
    if (keys.includes(CTRL_C)) {
      this.#signals.typed();
      if (this.#interrupts.typed(performance.now())) this.#end("a third Ctrl-C");
    }
    const name = this.#key === null ? "" : formatKey(this.#key);
    for (const wish of asked) {
      if (wish === "end") this.#end(`${name}.`);
      else for (const line of help(name)) ui.asked(line);
    }
    return keys;
  }

  /** The command printed something. */
  printed(bytes: Uint8Array): void {
    this.#interrupts.printed(bytes);
  }

  #end(by: string): void {
    ui.notice(`ended (${by})`);
    this.#signals.end();
  }
}

function help(name: string): readonly string[] {
  return [
    "keys that are for sbx, after Enter:",
    `  ${name}.  end the command, whatever it does`,
    `  ${name}${name}  type ${name}`,
    `  ${name}?  show this`,
  ];
}
