/**
 * Answers what clients ask about one running sandbox.
 *
 * @module
 */
import { SbxError } from "../base/errors.ts";
import type { Proven } from "../guest/lima/proof_part.ts";
import type { PolicyChange } from "../journal/policy_change.ts";
import type { ApplyChangesOptions } from "../sandbox/changes/change.ts";
import type { EventKind } from "../sandbox/events.ts";
import type { Publication, PublishedPort } from "../sandbox/options.ts";
import type { SandboxProcess } from "../sandbox/process.ts";
import type { ExecOptions } from "../sandbox/exec_options.ts";
import type { PortSelection, Unpublished } from "../sandbox/publication.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import type { Fields } from "../wire/call_result.ts";
import type { ServedCall } from "../wire/call_server.ts";
import { tellApplied, tellChanges } from "./change_lines.ts";
import { relayConnection } from "./connection_relay.ts";
import { relayFiles } from "./file_relay.ts";
import { LineWriter } from "./line_writer.ts";
import type { Jobs } from "./jobs.ts";
import type { CreateRequest } from "./program_protocol.ts";
import {
  type ApplyRequest,
  type CommandRequest,
  parseRequest,
  PROTOCOL,
  type PublishRequest,
  type UnpublishRequest,
} from "./protocol.ts";
import type { SandboxState } from "./state.ts";
import { relayFreeze, relaySave } from "./stillness_relay.ts";
import { wanted } from "./wanted.ts";

/** What there is to ask about. */
export interface Supervised {
  readonly name: string;
  /** The version of the supervisor. */
  readonly sbx: string;
  /** Undefined while the machine is started again. */
  readonly sandbox: Sandbox | undefined;
  /** Undefined where the sandbox is a program's, and no command outlives that. */
  readonly jobs: Jobs | undefined;
  readonly state: SandboxState;
  /** Starts the sandbox of a program; answers at its end. Absent where it was started before anybody asked. */
  create?(request: CreateRequest, call: ServedCall): Promise<Fields>;
  /** Has another policy judge from now on, at later starts as well. @throws SbxError as `Sandbox.applyPolicy` */
  applyPolicy(policy: Readonly<Record<string, unknown>>, dryRun: boolean): Promise<PolicyChange>;
  /** Publishes a port, at later starts as well. @throws SbxError as `Sandbox.publish` */
  publish(publication: Publication): Promise<readonly PublishedPort[]>;
  /** The reverse. @throws SbxError as `Sandbox.unpublish` */
  unpublish(selection: PortSelection): Promise<Unpublished>;
  /**
   * Ends the sandbox for good, or the start of it; resolves when nothing of it is left. Its main command is
   * asked first, and has so many milliseconds.
   */
  stop(graceMs: number): Promise<void>;
}

/** A command whose caller is gone: how long it may take to leave when it was hung up on. */
const HANG_UP_MS = 5_000;
const SIGHUP = 1;
const SIGKILL = 9;

/** @throws SbxError */
export async function answer(supervised: Supervised, call: ServedCall): Promise<Fields> {
  const request = parseRequest(call.request);
  switch (request.method) {
    case "hello":
      return { protocol: PROTOCOL, sbx: supervised.sbx, name: supervised.name };
    case "ping":
      return {};
    case "status":
      return { state: supervised.state };
    case "create":
      if (supervised.create !== undefined) return await supervised.create(request, call);
      throw new SbxError("PROTOCOL", `Cannot create sandbox ${supervised.name}: it is there`);
    case "exec":
      return await converse(start(supervised, request), call);
    case "files":
      return await relayFiles(running(supervised), request.request, call);
    case "start-job":
      return { job: jobsOf(supervised).start(request.argv, optionsOf(request)) };
    case "jobs":
      return { jobs: jobsOf(supervised).list() };
    case "wait":
      return { job: await until(wanted(call), jobsOf(supervised).wait(request.job)) };
    case "attach":
      return { job: await jobsOf(supervised).attach(request.job, request.from, call) };
    case "signal":
      jobsOf(supervised).signal(request.job, request.signal);
      return {};
    case "diff":
      return await tellChanges(running(supervised), request, call);
    case "apply":
      return await tellApplied(running(supervised), applyOptionsOf(request), call);
    case "apply-policy":
      return { change: await supervised.applyPolicy(request.policy, request.dryRun) };
    case "publish":
      return { published: await supervised.publish(publicationOf(request)) };
    case "unpublish":
      return { ...await supervised.unpublish(selectionOf(request)) };
    case "wait-for-port":
      return { addresses: await waitFor(running(supervised), request, wanted(call)) };
    case "connect":
      return await relayConnection(running(supervised), request.port, call);
    case "metrics":
      return { metrics: await running(supervised).metrics() };
    case "freeze":
      return await relayFreeze(running(supervised), request.beats === true, call);
    case "save":
      return await relaySave(running(supervised), request.beats === true, call);
    case "prove":
      return { proof: await proofOf(running(supervised), supervised.name) };
    case "summary":
      return { summary: running(supervised).summary() };
    case "events":
      return await tellEvents(running(supervised), request.kinds, call);
    case "stop":
      await supervised.stop(request.graceMs ?? 0);
      return {};
  }
}

async function proofOf(sandbox: Sandbox, name: string): Promise<readonly Proven[]> {
  const proof = await sandbox.prove();
  if (proof !== undefined) return proof;
  throw new SbxError("USAGE", `Cannot prove anything of ${name}: sbx made all of its machine`, {
    hint: "the proof is for guests of Lima's; 'sbx doctor' alone looks at this machine",
  });
}

function jobsOf({ jobs }: Supervised): Jobs {
  if (jobs !== undefined) return jobs;
  throw new SbxError("PROTOCOL", "Cannot use jobs: they are of sandboxes with a name");
}

function publicationOf({ bind, hostPort, guestPort, protocol }: PublishRequest): Publication {
  return { hostPort, guestPort, protocol, ...(bind === undefined ? {} : { bind }) };
}

function selectionOf({ port, address, protocol }: UnpublishRequest): PortSelection {
  return {
    port,
    ...(address === undefined ? {} : { address }),
    ...(protocol === undefined ? {} : { protocol }),
  };
}

function applyOptionsOf(
  { paths, dryRun, force, includeUnsafe, digest }: ApplyRequest,
): ApplyChangesOptions {
  const overrules = { dryRun, force, includeUnsafe };
  return { paths, ...overrules, ...(digest === undefined ? {} : { digest }) };
}

async function waitFor(
  sandbox: Sandbox,
  { port, timeoutMs }: { readonly port: number; readonly timeoutMs?: number | undefined },
  signal: AbortSignal,
): Promise<readonly string[]> {
  return await sandbox.waitForPort(port, {
    signal,
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  });
}

/** One event a line, until the last one or the caller's end. */
async function tellEvents(
  sandbox: Sandbox,
  kinds: readonly EventKind[] | undefined,
  call: ServedCall,
): Promise<Fields> {
  const lines = new LineWriter(call.output);
  const events = sandbox.events({
    signal: wanted(call),
    ...(kinds === undefined ? {} : { kinds }),
  });
  try {
    for await (const event of events) await lines.tell(event);
    await lines.end();
  } catch (error) {
    if (!(error instanceof SbxError && error.code === "PIPE_CLOSED")) throw error;
  }
  return {};
}

async function until<T>(signal: AbortSignal, value: Promise<T>): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const abort = () => reject(new SbxError("STOPPED", "Cannot wait: the caller waits no more"));
  if (signal.aborted) abort();
  signal.addEventListener("abort", abort, { once: true });
  value.then(resolve, reject);
  return await promise.finally(() => signal.removeEventListener("abort", abort));
}

function start(supervised: Supervised, request: CommandRequest): SandboxProcess {
  const [command = "", ...args] = request.argv;
  return running(supervised).exec(command, args, optionsOf(request));
}

function running({ name, sandbox }: Supervised): Sandbox {
  if (sandbox !== undefined) return sandbox;
  throw new SbxError("STOPPED", `Cannot use sandbox ${name}: it is being started`, {
    hint: "try again in a moment",
  });
}

function optionsOf({ env, cwd, user, tty, stdin, closed, timeoutMs }: CommandRequest): ExecOptions {
  return {
    env: Object.fromEntries(env.map(assignment)),
    stdin,
    ...(cwd === undefined ? {} : { workdir: cwd }),
    ...(user === undefined ? {} : { user }),
    ...(tty === undefined ? {} : { tty: { columns: tty.cols, rows: tty.rows, term: tty.term } }),
    ...(closed === undefined ? {} : { closed }),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  };
}

function assignment(text: string): [name: string, value: string] {
  const at = text.indexOf("=");
  return [text.slice(0, at), text.slice(at + 1)];
}

/** Joins a command's streams with its caller's; it does not outlive him. */
async function converse(child: SandboxProcess, call: ServedCall): Promise<Fields> {
  call.onSignal = (signal) => child.kill(signal);
  call.onResize = (columns, rows) => child.resize(columns, rows);
  call.gone.addEventListener("abort", () => void hangUp(child));
  if (call.gone.aborted) void hangUp(child);
  void call.input.pipeTo(child.stdin).catch(() => {}); // it reads no more, or he is gone
  await Promise.all([carry(child.stdout, call.output), carry(child.stderr, call.errors)]);
  const { code, signal, timedOut } = await child.exit;
  return { ...(signal === undefined ? { code } : { signal }), timedOut };
}

/** What the other end does not read, ends the command like a pipe that nobody reads. */
async function carry(from: ReadableStream<Uint8Array>, to: WritableStream<Uint8Array>) {
  await from.pipeTo(to).catch((error) => {
    // Of a lost guest the exit says more; of a caller that reads no more there is nothing to say.
    if (!(error instanceof SbxError)) throw error;
  });
}

async function hangUp(child: SandboxProcess): Promise<void> {
  child.kill(SIGHUP);
  const timer = setTimeout(() => child.kill(SIGKILL), HANG_UP_MS);
  await child.exit.catch(() => {});
  clearTimeout(timer);
}
