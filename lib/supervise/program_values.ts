/**
 * Values of secrets that a program says each time: a question for each goes to it, by number, and what it says
 * comes back.
 *
 * @module
 */
import { errorOf } from "../base/failure.ts";
import type { ProgramValue, SecretReading } from "../secret/program_values.ts";
import { type Answer, parseAnswer } from "./program_protocol.ts";

interface Question {
  resolve(reading: SecretReading): void;
  reject(error: unknown): void;
}

export class AskedValues {
  readonly #ask: (question: number, secret: string) => void;
  readonly #open = new Map<number, Question>();
  #asked = 0;

  constructor(ask: (question: number, secret: string) => void) {
    this.#ask = ask;
  }

  /** What stands for the program's function. Who waits for it has a limit of his own. */
  of(secret: string): Exclude<ProgramValue, string> {
    return () => {
      const question = ++this.#asked;
      const { promise, resolve, reject } = Promise.withResolvers<SecretReading>();
      this.#open.set(question, { resolve, reject });
      this.#ask(question, secret);
      return promise;
    };
  }

  /** One line of the program's. @throws SbxError PROTOCOL */
  answer(line: string): void {
    const said = parseAnswer(line);
    const question = this.#open.get(said.ask);
    this.#open.delete(said.ask);
    if (question !== undefined) settle(question, said);
  }
}

function settle({ resolve, reject }: Question, said: Answer): void {
  if ("error" in said) return reject(errorOf(said.error));
  if ("failed" in said) {
    if (said.failed === "threw") return reject(new Error("the program's function threw"));
    return resolve({} as SecretReading); // which is none, as its reader finds
  }
  const { value, expiresMs } = said;
  resolve({ value, ...(expiresMs === undefined ? {} : { expires: new Date(expiresMs) }) });
}
