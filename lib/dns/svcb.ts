/**
 * SVCB and HTTPS records (RFC 9460).
 *
 * Their address hints lead a client to where no judged answer pointed, and their ECH keys let it hide
 * the name that rules go by. For names under a rule both are taken out.
 *
 * @module
 */
import { addressOf } from "../base/address.ts";
import type { Address } from "../base/address.ts";
import { Cursor, Truncated } from "../base/cursor.ts";
import { MalformedDns, readName, type WireName } from "./wire_name.ts";

const Key = { Mandatory: 0, Ipv4Hint: 4, Ech: 5, Ipv6Hint: 6 } as const;

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
    const target = readName(cursor);
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

/** The same service without hints and ECH key, and without calling these mandatory. */
export function revealed(binding: ServiceBinding): ServiceBinding {
  const parameters = binding.parameters
    .filter(({ key }) => !CONCEALING.has(key))
    .map((parameter) => parameter.key === Key.Mandatory ? withoutConcealing(parameter) : parameter)
    .filter(({ key, value }) => key !== Key.Mandatory || value.length > 0);
  return { ...binding, parameters };
}

function withoutConcealing({ key, value }: ServiceParameter): ServiceParameter {
  if (value.length % 2 !== 0) throw new MalformedDns("list of mandatory keys of an odd length");
  const cursor = new Cursor(value);
  const kept: number[] = [];
  while (cursor.left > 0) {
    const mandatory = cursor.take(2);
    if (!CONCEALING.has(new Cursor(mandatory).u16())) kept.push(...mandatory);
  }
  return { key, value: Uint8Array.from(kept) };
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
