/**
 * Lima's part towards its driver, played by test/support/limactl: an instance's directory, the calls that
 * limactl and its hostagent make, and their end.
 *
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";

export interface Answer {
  readonly value: string;
  readonly success: boolean;
  readonly error: string;
}

type Line = Answer & { readonly id: number; readonly done: boolean };

/** A guest that was asked to start. */
export interface Started {
  /** Resolves at the first word of the driver: that it runs, or why not. */
  readonly first: Promise<Answer>;
  /** Resolves when the driver says no more: to all that it said. */
  readonly over: Promise<readonly Answer[]>;
}

interface Waiting {
  readonly heard: Answer[];
  readonly first: PromiseWithResolvers<Answer>;
  readonly over: PromiseWithResolvers<readonly Answer[]>;
}

export class LimactlClient {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, Waiting>();
  #last = 0;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  /** `argv`: of the stand-in, with its driver and the instance's directory. Starts the driver, or finds it. */
  static async open(argv: readonly string[]): Promise<LimactlClient> {
    const [command = "", ...args] = argv;
    const client = new LimactlClient(
      spawn(command, args, { stdio: ["pipe", "pipe", "inherit"] }),
    );
    const there = client.#wait(0);
    const { stdout } = client.#child;
    if (stdout === null) throw new Error("the stand-in for limactl has no stdout");
    createInterface({ input: stdout }).on("line", (line) => client.#take(JSON.parse(line) as Line));
    client.#child.once("close", () => {
      for (const { first, over } of client.#waiting.values()) {
        first.reject(new Error("the stand-in for limactl ended; see stderr"));
        over.reject(new Error("the stand-in for limactl ended; see stderr"));
      }
    });
    await there.over.promise;
    return client;
  }

  async call(method: string, value = ""): Promise<Answer> {
    const waiting = this.#ask(method, value);
    const [answer] = await waiting.over.promise;
    if (answer === undefined) throw new Error(`no answer to ${method}`);
    return answer;
  }

  start(): Started {
    const { first, over } = this.#ask("Start", "");
    return { first: first.promise, over: over.promise };
  }

  /** Kills it, as a hostagent can be killed; or lets it go, once its calls were answered. */
  async end(how: "kill" | "leave"): Promise<void> {
    const closed = new Promise((resolve) => this.#child.once("close", resolve));
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    if (how === "kill") this.#child.kill("SIGKILL");
    else this.#child.stdin?.end();
    await closed;
  }

  #ask(method: string, value: string): Waiting {
    const id = ++this.#last;
    const waiting = this.#wait(id);
    this.#child.stdin?.write(`${JSON.stringify({ id, method, value })}\n`);
    return waiting;
  }

  #wait(id: number): Waiting {
    const waiting: Waiting = {
      heard: [],
      first: Promise.withResolvers(),
      over: Promise.withResolvers(),
    };
    waiting.first.promise.catch(() => {});
    waiting.over.promise.catch(() => {});
    this.#waiting.set(id, waiting);
    return waiting;
  }

  #take({ id, done, ...answer }: Line): void {
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) return;
    waiting.heard.push(answer);
    waiting.first.resolve(answer);
    if (!done) return;
    this.#waiting.delete(id);
    waiting.over.resolve(waiting.heard);
  }
}
