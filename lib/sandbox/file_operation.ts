/**
 * One call about the guest's files, bound to the sandbox's life and to whoever may abort it.
 *
 * @module
 */
import { type ErrorCode, SbxError } from "../base/errors.ts";
import type { FileCall, FileGuest, FileRequest } from "../guest/files.ts";
import { doing } from "../guest/agent/file_failure.ts";
import type { Fields } from "../wire/call_result.ts";
import type { Lifetime } from "./lifetime.ts";

/** Where calls go, and what they end with. */
export interface FileAccess {
  readonly guest: FileGuest;
  readonly lifetime: Lifetime;
  /** The code of calls whose channel ended; with it the lifetime ends, and says why. GUEST_LOST when absent. */
  readonly loss?: ErrorCode;
}

/** Takes the content that a call is for. */
export interface ContentWriter {
  write(bytes: Uint8Array): Promise<void>;
  /** Resolves to what the guest answers when it has made something of it. */
  close(): Promise<Fields>;
  giveUp(): void;
}

export class FileOperation {
  readonly #call: FileCall;
  readonly #lifetime: Lifetime;
  readonly #loss: ErrorCode;
  readonly #doing: string;
  readonly #abort: (() => void) | undefined;
  readonly #signal: AbortSignal | undefined;
  /** Tells the guest that its stream is not wanted any more, where it has one. */
  #leave: () => Promise<void> = async () => {};
  /** Rejects when the signal says so; never resolves. */
  readonly #aborted = Promise.withResolvers<never>();

  /** @throws SbxError STOPPED, and the signal's reason */
  constructor(
    { guest, lifetime, loss = "GUEST_LOST" }: FileAccess,
    request: FileRequest,
    signal?: AbortSignal,
  ) {
    this.#doing = doing(request);
    this.#lifetime = lifetime;
    this.#loss = loss;
    if (!lifetime.open) throw this.#stopped();
    signal?.throwIfAborted();
    this.#call = guest.files(request);
    this.#aborted.promise.catch(() => {});
    if (signal === undefined) return;
    this.#signal = signal;
    this.#abort = () => {
      this.#aborted.reject(signal.reason);
      this.#call.giveUp();
      void this.#leave();
    };
    signal.addEventListener("abort", this.#abort);
    const lift = () => this.#lift();
    this.#call.done.then(lift, lift);
  }

  /** What the agent answers. Whatever it sends on its stream is not wanted. */
  async answer(): Promise<Fields> {
    return await this.#until(this.#call.done);
  }

  /** What the guest sends; it ends when the guest has said that this was all. */
  stream(): ReadableStream<Uint8Array> {
    const reader = this.#call.output.getReader();
    const leave = async () => {
      this.#lift();
      await reader.cancel().catch(() => {}); // of a call that failed
    };
    this.#leave = leave;
    return new ReadableStream<Uint8Array>({
      pull: async (controller) => {
        try {
          const { done, value } = await this.#until(reader.read());
          if (!done) return controller.enqueue(value);
          await this.answer();
          controller.close();
        } catch (error) {
          void leave();
          throw error;
        }
      },
      cancel: leave,
    }, { highWaterMark: 0 });
  }

  /** Takes content. */
  writer(): ContentWriter {
    const writer = this.#call.input.getWriter();
    writer.closed.catch(() => {});
    const sent = async (sending: Promise<void>) => {
      try {
        await this.#until(sending);
      } catch (error) {
        if (!(error instanceof SbxError && error.code === "PIPE_CLOSED")) throw error;
        await this.answer(); // which says why the guest takes no more
        const state = "the guest says that it is done, and took a part of it";
        throw new SbxError("PROTOCOL", `Cannot ${this.#doing}: ${state}`, { cause: error });
      }
    };
    return {
      write: (bytes) => sent(writer.write(bytes)),
      close: async () => {
        await sent(writer.close());
        return await this.answer();
      },
      giveUp: () => {
        this.#lift();
        void writer.abort().catch(() => {});
      },
    };
  }

  async #until<T>(value: Promise<T>): Promise<T> {
    try {
      return await (this.#signal === undefined
        ? value
        : Promise.race([value, this.#aborted.promise]));
    } catch (error) {
      // The channel closes before the sandbox's end says why, and the end is sure to follow.
      if (!(error instanceof SbxError && error.code === this.#loss)) throw error;
      throw await this.#lifetime.ending ?? this.#stopped();
    }
  }

  #lift(): void {
    if (this.#abort !== undefined) this.#signal?.removeEventListener("abort", this.#abort);
  }

  #stopped(): SbxError {
    return new SbxError("STOPPED", `Cannot ${this.#doing}: the sandbox was stopped`);
  }
}
