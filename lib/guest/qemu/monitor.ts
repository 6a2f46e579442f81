/**
 * QEMU's monitor: commands and events of QMP, which are lines of JSON. QEMU may be a guest's by now, so
 * what it says is bounded and checked like a guest's word.
 *
 * ```
 * up ── execute() … ──► up
 *  └── a line that is none of QMP's, an error of the socket, its end ──► lost: whoever waits hears it
 * ```
 *
 * @module
 */
import type { Duplex } from "node:stream";
import { SbxError } from "../../base/errors.ts";
import { escapeText } from "../../base/escape.ts";

/** What is asked here has answers of some hundred bytes. */
const MAX_LINE = 64 * 1024;

type Json = Readonly<Record<string, unknown>>;

/** A command and its arguments. */
export type Order = readonly [command: string, values?: Json];

export class Monitor {
  readonly #socket: Duplex;
  readonly #answers: PromiseWithResolvers<unknown>[] = [];
  readonly #watchers = new Set<(event: Json) => void>();
  readonly #over = Promise.withResolvers<never>();
  #lost: SbxError | undefined;
  #rest = "";

  /** Takes over the socket of a QEMU that was just started. */
  constructor(socket: Duplex) {
    this.#socket = socket;
    this.#over.promise.catch(() => {}); // whoever waits for something hears of it
    const decoder = new TextDecoder();
    socket.on(
      "data",
      (bytes: Uint8Array) => this.#receive(decoder.decode(bytes, { stream: true })),
    );
    for (const event of ["error", "close", "end"]) socket.on(event, () => this.#lose("it is gone"));
    void this.execute(["qmp_capabilities"]).catch(() => {});
  }

  /** Gives the orders, in one go; resolves when all are obeyed. */
  async execute(...orders: readonly Order[]): Promise<void> {
    if (this.#lost !== undefined) throw this.#lost;
    await Promise.all(orders.map((order) => this.ask(order)));
  }

  /** Gives one order; resolves to what QEMU answers, which nobody has checked. */
  async ask([execute, values]: Order): Promise<unknown> {
    if (this.#lost !== undefined) throw this.#lost;
    this.#socket.write(
      `${JSON.stringify({ execute, ...(values === undefined ? {} : { arguments: values }) })}\n`,
    );
    const answer = Promise.withResolvers<unknown>();
    this.#answers.push(answer);
    return await answer.promise;
  }

  /** The data of the first event of the name from now on that fits. */
  async event(name: string, fits: (data: Json) => boolean): Promise<Json> {
    const { promise, resolve } = Promise.withResolvers<Json>();
    const watch = (event: Json) => {
      const data = isObject(event["data"]) ? event["data"] : {};
      if (event["event"] === name && fits(data)) resolve(data);
    };
    this.#watchers.add(watch);
    try {
      return await Promise.race([promise, this.#over.promise]);
    } finally {
      this.#watchers.delete(watch);
    }
  }

  close(): void {
    this.#lose("it was closed");
  }

  #receive(text: string): void {
    if (this.#lost !== undefined) return;
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) this.#take(line);
    if (this.#rest.length > MAX_LINE) this.#lose("it said a line without an end");
  }

  #take(line: string): void {
    const message = parsed(line);
    if (message === null || line.length > MAX_LINE) return this.#lose("it said what is no QMP");
    if ("event" in message) {
      for (const watch of this.#watchers) watch(message);
    } else if ("return" in message) this.#answers.shift()?.resolve(message["return"]);
    else if ("error" in message) this.#answers.shift()?.reject(refusal(message["error"]));
    // What is left is the greeting.
  }

  #lose(state: string): void {
    if (this.#lost !== undefined) return;
    this.#lost = failure(state);
    this.#over.reject(this.#lost);
    for (const answer of this.#answers.splice(0)) answer.reject(this.#lost);
    this.#socket.destroy();
  }
}

function parsed(line: string): Json | null {
  try {
    const value = JSON.parse(line);
    return isObject(value) ? value : null;
  } catch {
    return null;
  }
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function refusal(error: unknown): SbxError {
  return failure(isObject(error) ? `it says ${escapeText(String(error["desc"]))}` : "it refused");
}

function failure(state: string): SbxError {
  return new SbxError("GUEST_START", `Cannot use QEMU's monitor: ${state}`);
}
