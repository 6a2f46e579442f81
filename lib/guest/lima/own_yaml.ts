/**
 * The yaml of an instance that one of Lima's own drivers runs, with what a guest of sbx needs. What Lima's driver
 * `sbx` changes of an instance in passing (configure.ts) stands there; all else of the document stays as it was
 * written, comments among it. Pure.
 *
 * @module
 */
import {
  type Document,
  isAlias,
  isCollection,
  isMap,
  isSeq,
  parseDocument,
  type YAMLSeq,
} from "yaml";
import { SbxError } from "../../base/errors.ts";
import { escapeText } from "../../base/escape.ts";
import type { Told } from "./configure.ts";
import { environmentScript, isEnvironmentScript } from "./environment.ts";
import { limaLink } from "./link.ts";
import { isTrusted, trusted } from "./trusted.ts";

/** No line of a certificate or a script is folded. */
const STYLE = { lineWidth: 0 } as const;

/** `path`: where the text stands. @throws SbxError LIMA_INSTANCE for what is no map */
export function configuredYaml(
  text: string,
  { authority, placeholders }: Told,
  path = "lima.yaml",
): string {
  const document = parseDocument(text);
  const [fault] = document.errors;
  if (fault !== undefined) throw unreadable(path, fault.message.split("\n", 1)[0] ?? "", fault);
  if (!isMap(document.contents)) throw unreadable(path, "it is no map");
  const before = document.toString(STYLE);
  if (listOf(document, ["dns"]).items.length === 0) {
    document.set("dns", document.createNode([limaLink("").gateway.ip4]));
  }
  mapOf(document, "hostResolver");
  document.setIn(["hostResolver", "enabled"], false);
  document.set("propagateProxyEnv", false);
  if (authority.length > 0 || document.has("caCerts")) {
    mapOf(document, "caCerts");
    exchange(document, ["caCerts", "certs"], isTrusted, authority.map(trusted));
  }
  if (placeholders !== undefined) {
    const script = { mode: "system", script: environmentScript(placeholders) };
    exchange(document, ["provision"], isEnvironmentScript, [script]);
  }
  const after = document.toString(STYLE);
  return after === before ? text : after;
}

/** Puts entries into a list, at its end, in the place of those that were put there before. */
function exchange(
  document: Document,
  path: readonly string[],
  isOwn: (entry: unknown) => boolean,
  entries: readonly unknown[],
): void {
  const list = listOf(document, path);
  const all: unknown[] = list.toJSON();
  list.items = list.items.filter((_, at) => !isOwn(all[at]));
  for (const entry of entries) list.add(document.createNode(entry));
}

/** The map of a key, which it has from here on: what is shared with another key by an alias is copied. */
function mapOf(document: Document, key: string): void {
  own(document, [key]);
  if (!isMap(document.get(key, true))) document.set(key, document.createNode({}));
}

/** The same for a list. */
function listOf(document: Document, path: readonly string[]): YAMLSeq {
  own(document, path);
  const there = document.getIn(path, true);
  if (isSeq(there)) return there;
  const made = document.createNode([]) as YAMLSeq;
  document.setIn(path, made);
  return made;
}

function own(document: Document, path: readonly string[]): void {
  const node = document.getIn(path, true);
  if (!isAlias(node)) return;
  const source = node.resolve(document);
  document.setIn(path, document.createNode(isCollection(source) ? source.toJS(document) : null));
}

function unreadable(path: string, state: string, cause?: unknown): SbxError {
  return new SbxError("LIMA_INSTANCE", `Cannot read the instance's lima.yaml: ${state}`, {
    hint: `mend ${escapeText(path)}`,
    cause,
  });
}
