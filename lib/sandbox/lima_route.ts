/**
 * How a guest of Lima's comes onto sbx's cable: in a QEMU of sbx's, or by one of Lima's own drivers.
 *
 * @module
 */
import type { LimaProcess } from "../guest/lima/guest.ts";
import type { LimaInstance } from "../guest/lima/instance.ts";
import type { Proven } from "../guest/lima/proof_part.ts";
import type { Cable, CableSpec } from "./cable.ts";
import type { Lifetime } from "./lifetime.ts";

export interface LimaRouteSpec {
  readonly instance: LimaInstance;
  /** The address of the guest's card. */
  readonly mac: string;
  /** What of the route has to end with the guest is added here. */
  readonly lifetime: Lifetime;
  readonly notice: (line: string) => void;
  /** Called when somebody else may plug the guest in. */
  readonly listening?: (() => void) | undefined;
}

export interface LimaRoute {
  /** What runs the guest, in a word. */
  readonly accelerator: string;
  /** Lima runs the guest: it does not end with this process by itself. */
  readonly isLimas: boolean;
  readonly cable: Pick<CableSpec, "wayIn" | "plug">;
  /** What there is to do while the cable waits for its guest. */
  listen(): Promise<void>;
  /** Has the guest on the cable. */
  plug(cable: Cable, launcher: string): Promise<LimaPlugged>;
}

export interface LimaPlugged {
  readonly machine: LimaProcess;
  /** The proof as things are, and with it what the guest itself says of its cards, once it was asked. */
  look(inside?: readonly string[]): Promise<readonly Proven[]>;
}
