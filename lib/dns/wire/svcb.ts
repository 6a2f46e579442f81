/**
 * SVCB and HTTPS records (RFC 9460).
 *
 * Their address hints lead a client to where no judged answer pointed, and their ECH keys let it hide
 * the name that rules go by. Where flows are judged by names both are taken out.
 *
 * @module
 */
import { addressOf } from "../../base/address.ts";
import type { Address } from "../../base/address.ts";
import { Cursor, Truncated } from "../../base/cursor.ts";
import { MalformedDns, readPlainName, type WireName } from "./wire_name.ts";

const Key = {
  Mandatory: 0,
  Alpn: 1,
  NoDefaultAlpn: 2,
  Port: 3,
  Ipv4Hint: 4,
  Ech: 5,
  Ipv6Hint: 6,
} as const;

const CONCEALING: ReadonlySet<number> = new Set([Key.Ipv4Hint, Key.Ech, Key.Ipv6Hint]);

export interface ServiceParameter {
  readonly key: number;
  readonly value: Uint8Array;
}

/** A record's data. Priority 0 makes it an alias, without parameters that count. */
export interface ServiceBinding {
  readonly priority: number;
  readonly target: WireName;
  readonly parameters: readonly ServiceParameter[];
}

/** @throws MalformedDns */
export function parseBinding(data: Uint8Array): ServiceBinding {
  try {
    const cursor = new Cursor(data);
    const priority = cursor.u16();
    const target = readPlainName(cursor); // RFC 9460 §2.2
    const parameters: ServiceParameter[] = [];
    let last = -1;
    while (cursor.left > 0) {
      const key = cursor.u16();
      if (key <= last) throw new MalformedDns("service parameters out of order");
      last = key;
      parameters.push({ key, value: cursor.take(cursor.u16()) });
    }
    return { priority, target, parameters };
  } catch (error) {
    if (error instanceof Truncated) throw new MalformedDns("service parameters end early");
    throw error;
  }
}

export function formatBinding({ priority, target, parameters }: ServiceBinding): Uint8Array {
  const size = parameters.reduce((sum, { value }) => sum + 4 + value.length, 2 + target.length);
  const data = new Uint8Array(size);
  const view = new DataView(data.buffer);
  view.setUint16(0, priority);
  data.set(target, 2);
  let at = 2 + target.length;
  for (const { key, value } of parameters) {
    view.setUint16(at, key);
    view.setUint16(at + 2, value.length);
    data.set(value, at + 4);
    at += 4 + value.length;
  }
  return data;
}

/** The addresses that the hints name. @throws MalformedDns */
export function hintsOf({ parameters }: ServiceBinding): Address[] {
  return parameters.flatMap(({ key, value }) => {
    if (key === Key.Ipv4Hint) return addresses(value, 4);
    return key === Key.Ipv6Hint ? addresses(value, 16) : [];
  });
}

/** The port that it is on, or null for the one that its scheme has. @throws MalformedDns */
export function portOf({ parameters }: ServiceBinding): number | null {
  const port = parameters.find(({ key }) => key === Key.Port);
  if (port === undefined) return null;
  if (port.value.length !== 2) throw new MalformedDns("a port of a wrong length");
  return new Cursor(port.value).u16();
}

/** The same service without hints and ECH key. */
export function revealed(binding: ServiceBinding): ServiceBinding {
  return without(binding, CONCEALING);
}

/** Without these parameters, and without calling them mandatory. */
function without(binding: ServiceBinding, keys: ReadonlySet<number>): ServiceBinding {
  const parameters = binding.parameters
    .filter(({ key }) => !keys.has(key))
    .map((each) => each.key === Key.Mandatory ? { ...each, value: listWithout(each, keys) } : each)
    .filter(({ key, value }) => key !== Key.Mandatory || value.length > 0);
  return { ...binding, parameters };
}

function listWithout({ value }: ServiceParameter, keys: ReadonlySet<number>): Uint8Array {
  if (value.length % 2 !== 0) throw new MalformedDns("list of mandatory keys of an odd length");
  const cursor = new Cursor(value);
  const kept: number[] = [];
  while (cursor.left > 0) {
    const mandatory = cursor.take(2);
    if (!keys.has(new Cursor(mandatory).u16())) kept.push(...mandatory);
  }
  return Uint8Array.from(kept);
}

/**
 * The same service without the protocols over QUIC; null when it has no other (RFC 9460 §7.1).
 *
 * @throws MalformedDns
 */
export function overTcp(binding: ServiceBinding): ServiceBinding | null {
  const alpn = binding.parameters.find(({ key }) => key === Key.Alpn);
  if (alpn === undefined) return binding;
  const protocols = protocolsOf(alpn);
  const kept = protocols.filter((id) => !isOverQuic(id));
  if (kept.length === protocols.length) return binding;
  if (kept.length > 0) {
    const value = Uint8Array.from(kept.flatMap((id) => [id.length, ...id]));
    const parameters = binding.parameters.map((each) => each === alpn ? { ...each, value } : each);
    return { ...binding, parameters };
  }
  // Without a list of its own it has the default protocol, unless it says that it does not.
  if (binding.parameters.some(({ key }) => key === Key.NoDefaultAlpn)) return null;
  return without(binding, new Set([Key.Alpn]));
}

function protocolsOf({ value }: ServiceParameter): Uint8Array[] {
  const cursor = new Cursor(value);
  const protocols: Uint8Array[] = [];
  try {
    while (cursor.left > 0) protocols.push(cursor.take(cursor.u8()));
  } catch (error) {
    if (error instanceof Truncated) throw new MalformedDns("a list of protocols ends early");
    throw error;
  }
  return protocols;
}

/** `h3`, its drafts like `h3-29`, and gQUIC of before. */
function isOverQuic(id: Uint8Array): boolean {
  return /^(?:h3(?:-|$)|h?q-|quic)/.test(String.fromCharCode(...id.subarray(0, 5)));
}

function addresses(value: Uint8Array, size: 4 | 16): Address[] {
  if (value.length === 0 || value.length % size !== 0) {
    throw new MalformedDns("address hint of a wrong length");
  }
  return Array.from(
    { length: value.length / size },
    (_, index) => addressOf(value.slice(index * size, (index + 1) * size)),
  );
}
