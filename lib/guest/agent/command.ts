/**
 * One command in a guest, as a call of whoever runs it.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { SbxError } from "../../base/errors.ts";
import { encodeOsString } from "../../base/os_string.ts";
import type { CallClient } from "../../wire/call_client.ts";
import { Kind, type Peer, Stream } from "../../wire/call_frame.ts";
import type { CallFailure, Fields } from "../../wire/call_result.ts";
import { callStreams, type SendFrame } from "../../wire/call_streams.ts";
import type { CommandExit, ExecSpec, GuestProcess } from "../guest.ts";

/** Who runs commands when he is called. */
export interface CommandServer {
  readonly calls: Pick<CallClient, "open">;
  readonly peer: Peer;
  /** Resolves when he has answered; rejects when he is lost. */
  readonly answers: () => Promise<unknown>;
  /** How a command ended, in his words. @throws SbxError PROTOCOL */
  readonly exit: (ok: Fields) => CommandExit | Promise<CommandExit>;
  /** Why it was not started, in his words. */
  readonly failure: (failure: CallFailure) => SbxError;
}

export class Command implements GuestProcess {
  readonly stdin: WritableStream<Uint8Array>;
  readonly stdout: ReadableStream<Uint8Array>;
  readonly stderr: ReadableStream<Uint8Array>;
  readonly exit: Promise<CommandExit>;
  readonly started: Promise<boolean>;
  readonly answers: () => Promise<unknown>;
  readonly discard: () => void;
  readonly #send: SendFrame;

  /** `request`: see {@link commandRequest}. */
  constructor(request: Fields, { calls, peer, answers, ...words }: CommandServer) {
    this.answers = answers;
    const exit = Promise.withResolvers<CommandExit>();
    this.exit = exit.promise;
    this.exit.catch(() => {}); // whoever reads only the streams need not look at the status
    const started = Promise.withResolvers<boolean>();
    this.started = started.promise;
    const never = () => started.resolve(false);
    this.exit.then(never, never);
    const { input, outputs } = callStreams(peer, (...frame) => this.#send(...frame));
    this.stdin = input.stream;
    this.stdout = outputs[Stream.Output].stream;
    this.stderr = outputs[Stream.Errors].stream;
    this.discard = () => {
      outputs[Stream.Output].discard();
      outputs[Stream.Errors].discard();
    };
    this.#send = calls.open(request, {
      input,
      outputs,
      begun: () => started.resolve(true),
      lost: exit.reject,
      result: (result) => {
        if ("ok" in result) exit.resolve(words.exit(result.ok));
        else exit.reject(words.failure(result.failure));
      },
    });
  }

  signal(number: number): void {
    this.#send(Kind.Signal, Stream.Input, Uint8Array.of(number));
  }

  resize(cols: number, rows: number): void {
    this.#send(Kind.Resize, Stream.Input, Uint8Array.of(cols >> 8, cols, rows >> 8, rows));
  }
}

/**
 * A command as servers take it: strings are bytes, each with its NUL.
 *
 * @throws SbxError USAGE for a command that cannot be
 */
export function commandRequest(method: string, spec: ExecSpec): Fields {
  refuseNul(spec);
  const { argv, env, ...rest } = spec;
  const assignments = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  return { method, ...rest, argv: block(argv), env: block(assignments) };
}

function block(texts: readonly string[]): string {
  return Buffer.concat(texts.map((text) => encodeOsString(`${text}\0`))).toString("base64");
}

/** execve(2) takes strings that end at the first NUL; what came after it would be lost. */
function refuseNul({ argv, env, cwd = "" }: ExecSpec): void {
  const texts = [...argv, ...Object.entries(env).flat(), cwd];
  if (texts.some((text) => text.includes("\0"))) {
    throw new SbxError("USAGE", "Cannot run the command: an argument or variable holds a NUL byte");
  }
}
