/**
 * One command in the guest, as a call of the agent.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { SbxError } from "../../base/errors.ts";
import { encodeOsString } from "../../base/os_string.ts";
import type { CallClient } from "../../wire/call_client.ts";
import { Kind, type Peer, Stream } from "../../wire/call_frame.ts";
import { callStreams, type SendFrame } from "../../wire/call_streams.ts";
import type { ExecSpec, GuestProcess } from "../guest.ts";
import { commandFailure, type CommandStatus, commandStatus } from "./result.ts";

export class Command implements GuestProcess {
  readonly stdin: WritableStream<Uint8Array>;
  readonly stdout: ReadableStream<Uint8Array>;
  readonly stderr: ReadableStream<Uint8Array>;
  readonly exit: Promise<CommandStatus>;
  readonly answers: () => Promise<unknown>;
  readonly discard: () => void;
  readonly #send: SendFrame;

  /** @throws SbxError USAGE for a command that cannot be */
  constructor(
    spec: ExecSpec,
    calls: Pick<CallClient, "open">,
    peer: Peer,
    answers: () => Promise<unknown>,
  ) {
    refuseNul(spec);
    this.answers = answers;
    const exit = Promise.withResolvers<CommandStatus>();
    this.exit = exit.promise;
    this.exit.catch(() => {}); // whoever reads only the streams need not look at the status
    const { input, outputs } = callStreams(peer, (...frame) => this.#send(...frame));
    this.stdin = input.stream;
    this.stdout = outputs[Stream.Output].stream;
    this.stderr = outputs[Stream.Errors].stream;
    this.discard = () => {
      outputs[Stream.Output].discard();
      outputs[Stream.Errors].discard();
    };
    this.#send = calls.open(requestOf(spec), {
      input,
      outputs,
      lost: exit.reject,
      result: (result) => {
        if ("ok" in result) exit.resolve(commandStatus(result.ok));
        else exit.reject(commandFailure(result.failure));
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

/** As the agent's `exec` takes it: strings are bytes, each with its NUL. */
function requestOf({ argv, env, ...rest }: ExecSpec): Readonly<Record<string, unknown>> {
  const assignments = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  return { method: "exec", ...rest, argv: block(argv), env: block(assignments) };
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
