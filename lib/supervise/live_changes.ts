/**
 * What is changed of a named sandbox while it runs: one change after the other, each written down for the next start
 * before it is done, or taken back where it cannot be written down.
 *
 * @module
 */
import { inSentence, SbxError } from "../base/errors.ts";
import type { PolicyChange } from "../journal/policy_change.ts";
import type { Publication, PublishedPort } from "../sandbox/options.ts";
import type { PortSelection, Unpublished } from "../sandbox/publication.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import { policyOf, type SandboxSpec, settingsOf } from "./record.ts";

/** What the next start has in the place of what was there. */
export type SpecChange = Partial<Pick<SandboxSpec, "policy" | "publish">>;

export interface ChangedSandbox {
  readonly name: string;
  /** @throws SbxError STOPPED */
  running(): Sandbox;
  /** Writes down what the next start goes by. @throws SbxError when the disk is full */
  remember(change: SpecChange): Promise<void>;
  /** Writes down what listens now. @throws SbxError */
  tellPorts(ports: readonly PublishedPort[]): Promise<void>;
}

export class LiveChanges {
  readonly #of: ChangedSandbox;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(sandbox: ChangedSandbox) {
    this.#of = sandbox;
  }

  applyPolicy(
    policy: Readonly<Record<string, unknown>>,
    dryRun: boolean,
  ): Promise<PolicyChange> {
    return this.#inTurn("apply the policy to", async (keep) => {
      const settings = settingsOf(this.#of.name, policy);
      return await this.#of.running().applyPolicy(
        settings,
        { dryRun },
        (after) => keep({ policy: policyOf(after) }),
      );
    });
  }

  publish(publication: Publication): Promise<readonly PublishedPort[]> {
    return this.#inTurn("publish a port of", async (keep) => {
      const sandbox = this.#of.running();
      const ports = await sandbox.publish(publication);
      try {
        await keep({ publish: [...sandbox.publications] });
      } catch (error) {
        for (const { address, port, protocol } of ports) {
          await sandbox.unpublish({ address, port, protocol });
        }
        throw error;
      }
      await this.#of.tellPorts(sandbox.published);
      return ports;
    });
  }

  unpublish(selection: PortSelection): Promise<Unpublished> {
    return this.#inTurn("unpublish a port of", async (keep) => {
      const sandbox = this.#of.running();
      const closed = await sandbox.unpublish(selection, (left) => keep({ publish: [...left] }));
      await this.#of.tellPorts(sandbox.published);
      return closed;
    });
  }

  #inTurn<T>(
    doing: string,
    change: (keep: (change: SpecChange) => Promise<void>) => Promise<T>,
  ): Promise<T> {
    const done = this.#turn.then(() => change((kept) => this.#keep(doing, kept)));
    this.#turn = done.catch(() => {});
    return done;
  }

  async #keep(doing: string, change: SpecChange): Promise<void> {
    try {
      await this.#of.remember(change);
    } catch (cause) {
      if (!(cause instanceof SbxError)) throw cause;
      const message = `Cannot ${doing} sandbox ${this.#of.name}: ${inSentence(cause)}`;
      throw new SbxError(cause.code, message, {
        hint: "nothing was changed: do it again when this is mended",
        cause,
      });
    }
  }
}
