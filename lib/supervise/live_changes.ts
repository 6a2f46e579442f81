/**
 * What is changed of a named sandbox while it runs, and written down for its next start. What closes is done before it
 * is written down: a disk that is full, which a guest may have filled, is not to keep anything open. What opens is taken
 * back where it cannot be written down.
 *
 * @module
 */
import { inSentence, SbxError } from "../base/errors.ts";
import type { PolicyChange } from "../journal/policy_change.ts";
import type { Publication, PublishedPort } from "../sandbox/options.ts";
import type { PortSelection, Unpublished } from "../sandbox/publication.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import { selectedPorts } from "../sandbox/unpublish.ts";
import { policyOf, type SandboxSpec, settingsOf } from "./record.ts";

/** What the next start has in the place of what was there. */
export type SpecChange = Partial<Pick<SandboxSpec, "policy" | "publish">>;

export interface ChangedSandbox {
  readonly name: string;
  /** @throws SbxError STOPPED */
  running(): Sandbox;
  /** Has a machine that is started again by itself go by it. */
  hold(change: SpecChange): void;
  /** Writes down what is held. @throws SbxError when the disk is full */
  remember(): Promise<void>;
  /** Writes down what listens now, or gives notice that it could not. */
  tellPorts(ports: readonly PublishedPort[]): Promise<void>;
}

export class LiveChanges {
  readonly #of: ChangedSandbox;
  #turn: Promise<unknown> = Promise.resolve();
  /** Ports that were closed, of which the next start does not know it. */
  #unwritten: readonly PublishedPort[] = [];

  constructor(sandbox: ChangedSandbox) {
    this.#of = sandbox;
  }

  /** Takes no turn while it reads files, which can take for ever. */
  async applyPolicy(
    policy: Readonly<Record<string, unknown>>,
    dryRun: boolean,
  ): Promise<PolicyChange> {
    const sandbox = this.#of.running();
    const settings = settingsOf(this.#of.name, policy);
    const change = await sandbox.applyPolicy(settings, { dryRun });
    if (dryRun) return change;
    this.#of.hold({ policy: policyOf(sandbox.settings) }); // another one's, perhaps, that came after
    await this.#inTurn(() => this.#keepDone());
    return change;
  }

  publish(publication: Publication): Promise<readonly PublishedPort[]> {
    return this.#inTurn(async () => {
      const sandbox = this.#of.running();
      const ports = await sandbox.publish(publication);
      this.#of.hold({ publish: [...sandbox.publications] });
      try {
        await this.#keep();
      } catch (error) {
        takeBack(sandbox, ports);
        this.#of.hold({ publish: [...sandbox.publications] });
        throw this.#failure("publish a port of", error, {
          hint: "nothing was changed: do it again when this is mended",
        });
      }
      await this.#of.tellPorts(sandbox.published);
      return ports;
    });
  }

  unpublish(selection: PortSelection): Promise<Unpublished> {
    return this.#inTurn(async () => {
      const sandbox = this.#of.running();
      const closed = this.#close(sandbox, selection);
      this.#unwritten = [...this.#unwritten, ...closed.ports];
      this.#of.hold({ publish: [...sandbox.publications] });
      await this.#of.tellPorts(sandbox.published);
      await this.#keepDone();
      return closed;
    });
  }

  /** Those that are closed already, too, where that is yet to be written down. */
  #close(sandbox: Sandbox, selection: PortSelection): Unpublished {
    try {
      return sandbox.unpublish(selection);
    } catch (error) {
      const ports = selectedPorts(this.#unwritten, selection);
      const isClosed = error instanceof SbxError && error.code === "PORT_MISSING";
      if (!isClosed || ports.length === 0) throw error;
      this.#unwritten = this.#unwritten.filter((port) => !ports.includes(port));
      return { ports, connections: 0 };
    }
  }

  #inTurn<T>(change: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(change);
    this.#turn = done.catch(() => {});
    return done;
  }

  async #keep(): Promise<void> {
    await this.#of.remember();
    this.#unwritten = [];
  }

  /** @throws SbxError for what is done already */
  async #keepDone(): Promise<void> {
    try {
      await this.#keep();
    } catch (error) {
      throw this.#failure("write down what was changed of", error, {
        hint: "it holds now, and its next start does not know of it: " +
          "free space on the disk, and do it again",
      });
    }
  }

  #failure(doing: string, cause: unknown, { hint }: { readonly hint: string }): unknown {
    if (!(cause instanceof SbxError)) return cause;
    const message = `Cannot ${doing} sandbox ${this.#of.name}: ${inSentence(cause)}`;
    return new SbxError(cause.code, message, { hint, cause });
  }
}

function takeBack(sandbox: Sandbox, ports: readonly PublishedPort[]): void {
  try {
    for (const { address, port, protocol } of ports) sandbox.unpublish({ address, port, protocol });
  } catch (error) {
    if (!(error instanceof SbxError)) throw error; // of both, the disk's is the one to tell
  }
}
