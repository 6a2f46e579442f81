/**
 * Policy text as plain values that remember where each came from. YAML, and JSON with comments.
 *
 * @module
 */

import {
  type Node as JsonNode,
  type ParseError,
  parseTree,
  printParseErrorCode,
} from "jsonc-parser";
import { type Document, isAlias, isMap, isScalar, isSeq, type Node, parseDocument } from "yaml";
import { escapeText } from "../../base/escape.ts";
import { PolicyFault, quote } from "../text/fault.ts";

export type Path = readonly PropertyKey[];

export interface Source {
  readonly value: unknown;
  /** Offset of the value at the path, or of the nearest value around it that exists. */
  offsetOf(path: Path): number;
  /** Offset of the key that the path ends with. */
  offsetOfKey(path: Path): number;
}

const TOO_DEEP = "it is nested too deeply";

/** A fault with a place in the text. */
export class SourceFault extends PolicyFault {
  readonly offset: number;

  constructor(offset: number, state: string, hint?: string) {
    super(state, hint);
    this.offset = offset;
  }
}

/** Files are JSON if named so, or if they look so and are not named otherwise. */
export function readSource(text: string, path: string): Source {
  const json = /\.jsonc?$/i.test(path) || (!/\.ya?ml$/i.test(path) && /^\s*[{/]/.test(text));
  try {
    return json ? readJson(text) : readYaml(text);
  } catch (error) {
    // Both parsers descend recursively; the guest has no say here, but a crash helps nobody.
    if (error instanceof RangeError) throw new SourceFault(0, TOO_DEEP);
    throw error;
  }
}

function readJson(text: string): Source {
  const errors: ParseError[] = [];
  const root = parseTree(text, errors, { allowTrailingComma: true });
  const [error] = errors;
  if (error !== undefined) {
    const what = printParseErrorCode(error.error).replace(/(?<=.)([A-Z])/g, " $1").toLowerCase();
    throw new SourceFault(error.offset, `it is not JSON: ${what}`);
  }
  return {
    value: root === undefined ? undefined : jsonValue(root),
    offsetOf: (path) => walkJson(root, path).value,
    offsetOfKey: (path) => walkJson(root, path).key,
  };
}

/** The value of a node, refusing what a plain conversion would drop: repeated keys. */
function jsonValue(node: JsonNode): unknown {
  const children = node.children ?? [];
  if (node.type === "array") return children.map(jsonValue);
  if (node.type !== "object") return node.value;
  const members = new Map<string, unknown>();
  for (const property of children) {
    const [key, value] = property.children ?? [];
    const name = String(key?.value);
    if (members.has(name)) {
      throw new SourceFault(property.offset, `the key ${quote(name)} stands twice`);
    }
    members.set(name, value === undefined ? undefined : jsonValue(value));
  }
  // Not by assignment, which would take the key `__proto__` for the prototype.
  return Object.fromEntries(members);
}

function walkJson(root: JsonNode | undefined, path: Path): { key: number; value: number } {
  let place = { key: root?.offset ?? 0, value: root?.offset ?? 0 };
  let node = root;
  for (const step of path) {
    const property = node?.type === "object"
      ? node.children?.find((child) => child.children?.[0]?.value === step)
      : undefined;
    node = property?.children?.[1] ??
      (typeof step === "number" ? node?.children?.[step] : undefined);
    if (node === undefined) return place;
    place = { key: property?.offset ?? node.offset, value: node.offset };
  }
  return place;
}

function readYaml(text: string): Source {
  // The library compares every key of a mapping with every other one.
  const options = { prettyErrors: false, stringKeys: true, uniqueKeys: false } as const;
  const document = parseDocument(text, options);
  const problem = document.errors[0] ?? document.warnings[0];
  if (problem !== undefined) {
    throw new SourceFault(problem.pos[0], yamlComplaint(problem.message));
  }
  countAliases(document, document.contents);
  return {
    value: yamlValue(() => document.toJS({ maxAliasCount: 100 })),
    offsetOf: (path) => walkYaml(document.contents, path).value,
    offsetOfKey: (path) => walkYaml(document.contents, path).key,
  };
}

/** For each alias the library looks through the whole document for its anchor. */
const MAX_ALIASES = 100;

/** Refuses repeated keys, aliases of nothing and too many. Answers how many there are below the node. */
function countAliases(document: Document.Parsed, node: unknown, before = 0): number {
  let count = before;
  if (isAlias(node)) {
    const offset = offsetOfNode(node, 0);
    if (++count > MAX_ALIASES) {
      throw new SourceFault(offset, `it has more than ${MAX_ALIASES} aliases`);
    }
    if (node.resolve(document) === undefined) {
      throw new SourceFault(
        offset,
        "it is not YAML: Unresolved alias",
        'put quotes around what begins with a star: "*.example.com"',
      );
    }
  }
  if (isSeq(node)) { for (const item of node.items) count = countAliases(document, item, count); }
  if (!isMap(node)) return count;
  const keys = new Set<string>();
  for (const { key, value } of node.items) {
    const name = isScalar(key) ? String(key.value) : "";
    if (keys.has(name)) {
      throw new SourceFault(offsetOfNode(key, 0), `the key ${quote(name)} stands twice`);
    }
    keys.add(name);
    count = countAliases(document, value, count);
  }
  return count;
}

/** The library reports unknown and excessive aliases, and bad merge keys, only while converting. */
function yamlValue(convert: () => unknown): unknown {
  try {
    return convert();
  } catch (error) {
    if (error instanceof RangeError || !(error instanceof Error)) throw error;
    throw new SourceFault(0, yamlComplaint(error.message));
  }
}

/** The library's words, without its advice to programmers. */
function yamlComplaint(message: string): string {
  // It catches its own stack overflow.
  if (message.startsWith("Maximum call stack")) return TOO_DEEP;
  if (message.startsWith("With stringKeys")) return "a key is no text";
  // What it quotes of the text behind a colon stands at the place that is named, and may be a secret.
  const [clause = ""] = message.split(/[;\n]|: | %/);
  return `it is not YAML: ${escapeText(clause)}`;
}

function walkYaml(root: unknown, path: Path): { key: number; value: number } {
  let place = { key: offsetOfNode(root, 0), value: offsetOfNode(root, 0) };
  let node: unknown = root;
  for (const step of path) {
    if (isAlias(node)) return place;
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === step);
      if (pair === undefined) return place;
      const key = offsetOfNode(pair.key, place.value);
      place = { key, value: offsetOfNode(pair.value, key) };
      node = pair.value;
    } else if (isSeq(node) && typeof step === "number") {
      node = node.items[step];
      const value = offsetOfNode(node, place.value);
      place = { key: value, value };
    } else return place;
  }
  return place;
}

function offsetOfNode(node: unknown, otherwise: number): number {
  const range = (node as Node | null | undefined)?.range;
  return range?.[0] ?? otherwise;
}
