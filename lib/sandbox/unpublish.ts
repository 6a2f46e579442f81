/**
 * The end of a published port.
 *
 * @module
 */
import { formatEndpoint } from "../base/address.ts";
import { SbxError } from "../base/errors.ts";
import { optionsOf } from "../base/misuse.ts";
import type { Network } from "./network_spec.ts";
import type { PublishedPort } from "./options.ts";
import type { PortSelection, Unpublished } from "./publication.ts";

/** @throws SbxError PORT_MISSING, POLICY_FIXED, USAGE */
export function portsToClose(
  network: Pick<Network, "published">,
  port: PortSelection,
): readonly PublishedPort[] {
  const { address, port: number, protocol } = optionsOf("unpublish(…)", port, {
    address: true,
    port: true,
    protocol: true,
  });
  const ports = network.published.filter((open) =>
    open.port === number && (address ?? open.address) === open.address &&
    (protocol ?? open.protocol) === open.protocol
  );
  const where = address === undefined ? `port ${number}` : formatEndpoint(address, number);
  if (ports.some(({ keptFor }) => keptFor !== undefined)) {
    throw new SbxError(
      "POLICY_FIXED",
      `Cannot unpublish ${where}: Lima reaches the guest's SSH there`,
      { hint: "stop the guest, which closes it" },
    );
  }
  if (ports.length === 0) {
    throw new SbxError("PORT_MISSING", `Cannot unpublish ${where}: nothing listens there`);
  }
  return ports;
}

/** With the connections that came in there. */
export function closePorts(
  network: Pick<Network, "unpublish">,
  ports: readonly PublishedPort[],
): Unpublished {
  const cut = ports.reduce((count, open) => count + network.unpublish(open), 0);
  return { ports, connections: cut };
}
