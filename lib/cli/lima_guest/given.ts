/**
 * An instance as Lima's driver hands it over.
 *
 * @module
 */
import process from "node:process";
import { text } from "node:stream/consumers";

/** What stands on standard input, to its end. */
export async function givenInstance(): Promise<unknown> {
  return parsedInstance(await text(process.stdin));
}

/** Undefined for what is no JSON, which is no instance either. */
export function parsedInstance(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
