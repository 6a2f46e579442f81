/**
 * Answers as JSON.
 *
 * @module
 */
import { escapeJson } from "../base/escape.ts";

/** The value as lines of JSON, unchanged in meaning, without what a terminal would obey. */
export function jsonText(value: object): string {
  return `${escapeJson(JSON.stringify(value, null, 2))}\n`;
}
