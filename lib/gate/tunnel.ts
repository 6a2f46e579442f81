/**
 * What a guest sends over a WebSocket: its messages are watched without their masks, and get values where
 * a secret of the host has the place `websocket`.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import type { BodyTransform } from "../http/gate.ts";
import type { Grant } from "../secret/grant.ts";
import type { SecretUse } from "../secret/report.ts";
import { substituteMessages } from "../secret/websocket/substitute.ts";
import type { Lookout } from "./lookout.ts";
import { readably } from "./unreadable.ts";
import { placed, usesOf } from "./uses.ts";

export interface TunnelSpec {
  /** Whom the upgrade is for. */
  readonly host: string;
  /** Those of the request that asked for it. */
  readonly grants: readonly Grant[];
  readonly lookout: Lookout;
  /** Told when the tunnel is over. */
  readonly onUse: (use: SecretUse) => void;
}

export function tunnel({ host, grants, lookout, onUse }: TunnelSpec): BodyTransform {
  const watch = lookout.watch("tunnel");
  const messages = substituteMessages(grants, (bytes, of) => {
    // A ping in the middle of a message is no part of it.
    if (of === "message") watch.push(bytes);
    else watch.pushApart(bytes);
  });
  return {
    push: (content) => readably(() => messages.push(content)),
    end: () => Buffer.alloc(0),
    close() {
      const counted = placed(messages.counted(), "websocket");
      for (const use of usesOf(host, counted, watch.home, "websocket")) onUse(use);
    },
  };
}
