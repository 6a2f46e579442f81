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
export function unpublish(network: Network, port: PortSelection): Unpublished {
  const { address, port: number } = optionsOf("unpublish(…)", port, {
    address: true,
    port: true,
    protocol: true,
  });
  const ports = selectedPorts(network.published, port);
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
  const cut = ports.reduce((count, open) => count + network.unpublish(open), 0);
  return { ports, connections: cut };
}

/** Those that are meant by a selection. */
export function selectedPorts(
  ports: readonly PublishedPort[],
  { address, port, protocol }: PortSelection,
): readonly PublishedPort[] {
  return ports.filter((each) =>
    each.port === port && (address ?? each.address) === each.address &&
    (protocol ?? each.protocol) === each.protocol
  );
}
