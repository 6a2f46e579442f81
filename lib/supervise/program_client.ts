/**
 * A program's end of its sandbox: starts the process that has it, and hears of it until its end.
 *
 * @module
 */
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { SbxError } from "../base/errors.ts";
import { errorOf, failureOf } from "../base/failure.ts";
import { spawnSandbox } from "../host/spawn_sandbox.ts";
import { LineCutter } from "../journal/line_cutter.ts";
import { descriptorOf } from "../journal/target.ts";
import type { NetworkSummary } from "../journal/summary.ts";
import { Lifetime } from "../sandbox/lifetime.ts";
import type { SandboxOptions } from "../sandbox/options.ts";
import { readingOf } from "../secret/program_values.ts";
import type { PlainCall } from "../wire/call_client.ts";
import { SupervisorClient } from "./client.ts";
import { type Answer, type Ended, type Ready, requestOf, type Told } from "./program_protocol.ts";

/**
 * One that was just started may take so long to say who it is: where the machine is busy, loading it alone takes some
 * of that. When it ends instead, that is known at once.
 */
const START_MS = 60_000;

/** No command knows it by its name, and it is ended then. */
const SILENT = "it was ended: try again, this machine may have been too busy to load it";

/** A process whose program is done with it may take so long to be gone. */
const LEAVE_MS = 5_000;

const STDOUT = 1;

/** The sandbox of this program, once commands can run in it. */
export interface ProgramSandbox {
  readonly client: SupervisorClient;
  readonly lifetime: Lifetime;
  readonly ready: Ready;
  /** The counts at its end; undefined before, without a network, and when its process was lost. */
  lastSummary(): NetworkSummary | undefined;
  /** Ends it; resolves when nothing of it is left. */
  stop(): Promise<void>;
}

/** `startMs`: how long its process may take to say who it is. @throws SbxError what the start failed of, and the signal's reason */
export async function createForProgram(
  options: SandboxOptions,
  signal: AbortSignal | undefined,
  startMs = START_MS,
): Promise<ProgramSandbox> {
  signal?.throwIfAborted();
  const request = requestOf({ ...options, inputs: [...options.inputs, process.execPath] });
  const { port, exited, kill } = spawnSandbox({
    writesOut: options.journal !== undefined && descriptorOf(options.journal) === STDOUT,
  });
  const lifetime = new Lifetime({
    notice: (line) => options.onNotice?.(line),
  });
  const client = SupervisorClient.ofProgram(options.name, port, lifetime);
  const over = async () => {
    await lifetime.end();
    await Promise.race([exited, delay(LEAVE_MS, undefined, { ref: false })]);
  };
  const abort = () => client.close();
  signal?.addEventListener("abort", abort);
  try {
    await client.greet(startMs, SILENT);
    const call = client.create(request);
    const ready = listen(call, options);
    const ended: { value?: Ended } = {};
    void call.ok.then((fields) => {
      ended.value = fields as Ended;
      const { failure } = ended.value;
      return lifetime.end(failure === undefined ? undefined : errorOf(failure));
    }, (error) => lifetime.end(error instanceof SbxError ? error : undefined));
    return {
      client,
      lifetime,
      ready: await Promise.race([ready, call.ok.then(() => ready)]),
      lastSummary: () => ended.value?.summary,
      async stop() {
        if (lifetime.open) await client.stop(0);
        await over();
      },
    };
  } catch (error) {
    await over();
    kill(); // one that hangs, and what it has with it
    signal?.throwIfAborted();
    throw error;
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}

/** Calls the program back with what is told; resolves when the sandbox runs. */
function listen(call: PlainCall, options: SandboxOptions): Promise<Ready> {
  const { promise, resolve, reject } = Promise.withResolvers<Ready>();
  const answers = call.input.stream.getWriter();
  const say = (answer: Answer) =>
    void answers.write(new TextEncoder().encode(`${JSON.stringify(answer)}\n`)).catch(() => {});
  const take = (told: Told) => {
    if ("notice" in told) options.onNotice?.(told.notice, told.topic);
    else if ("denial" in told) options.onDenial?.(told.denial);
    else if ("lost" in told) options.onNotice?.(`${told.lost} lines are missing here`);
    else if ("ready" in told) resolve(told.ready);
    else void valueOf(told.ask, told.secret, options).then(say);
  };
  const read = async () => {
    const lines = new LineCutter();
    for await (const bytes of call.output.stream) {
      for (const line of lines.push(bytes)) if (line !== null) take(JSON.parse(line));
    }
  };
  read().catch(reject); // which the call's result says as well
  promise.catch(() => {});
  return promise;
}

/** What the program's function says of a value. */
async function valueOf(ask: number, secret: string, options: SandboxOptions): Promise<Answer> {
  const given = options.network.secretValues?.get(secret);
  try {
    const reading = readingOf(typeof given === "function" ? await given() : given);
    if (reading === null) return { ask, failed: "no-reading" };
    const { value, expires } = reading;
    return { ask, value, ...(expires === undefined ? {} : { expiresMs: expires.getTime() }) };
  } catch (error) {
    if (!(error instanceof SbxError)) return { ask, failed: "threw" };
    return { ask, error: failureOf(error) };
  }
}
