/**
 * A line that is typed at a terminal without being shown.
 *
 * @module
 */
import process from "node:process";
import { SbxError } from "../base/errors.ts";

/** What became of the line so far. */
export type Typed =
  | { readonly kind: "more" }
  | { readonly kind: "line"; readonly text: string }
  | { readonly kind: "given-up" };

/** Far more than a value; what somebody pastes by mistake ends somewhere. */
const MAX_TYPED = 64 << 10;

const MORE: Typed = { kind: "more" };
const GIVEN_UP: Typed = { kind: "given-up" };

/** What a terminal in raw mode sends, key by key, with the editing that a shell would do. */
export class TypedLine {
  #text = "";

  take(keys: string): Typed {
    // A terminal that was told to frames what is pasted.
    for (const key of keys.replace(PASTE, "")) {
      switch (key) {
        case "\r":
        case "\n":
          return { kind: "line", text: this.#text };
        case "\x03": // Ctrl-C
          return GIVEN_UP;
        case "\x04": // Ctrl-D
          if (this.#text === "") return GIVEN_UP;
          return { kind: "line", text: this.#text };
        case "\b":
        case "\x7f":
          this.#text = [...this.#text].slice(0, -1).join("");
          break;
        case "\x15": // Ctrl-U
          this.#text = "";
          break;
        default:
          this.#text += key;
          if (this.#text.length > MAX_TYPED) return GIVEN_UP;
      }
    }
    return MORE;
  }
}

// deno-lint-ignore no-control-regex
const PASTE = /\x1b\[20[01]~/g;

/**
 * The line that is typed at this terminal, which is as it was again on every way out. `ask` is called
 * when nothing is shown any more.
 *
 * @throws SbxError STOPPED when it was given up, or a signal came
 */
export async function readTypedLine(ask: () => void): Promise<string> {
  const { stdin } = process;
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const line = new TypedLine();
  const decoder = new TextDecoder();
  const stop = () =>
    reject(
      new SbxError("STOPPED", "Cannot set the secret: it was given up, and nothing is changed"),
    );
  const take = (chunk: Uint8Array) => {
    const typed = line.take(decoder.decode(chunk, { stream: true }));
    if (typed.kind === "line") resolve(typed.text);
    if (typed.kind === "given-up") stop();
  };
  const leave = () => stdin.setRawMode(false);
  for (const signal of SIGNALS) process.on(signal, stop);
  process.once("exit", leave);
  stdin.setRawMode(true);
  stdin.on("data", take).once("end", stop).once("error", stop);
  ask();
  try {
    return await promise;
  } finally {
    stdin.off("data", take).off("end", stop).off("error", stop).pause();
    leave();
    process.off("exit", leave);
    for (const signal of SIGNALS) process.off(signal, stop);
  }
}

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
