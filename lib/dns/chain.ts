/**
 * The part of an answer that belongs to its question: the aliases that lead on from the name asked
 * for, and the records of the type asked for along them. Whatever else a server put in was not asked
 * for, and is how one name's server speaks for another's.
 *
 * @module
 */
import { Cursor } from "../base/cursor.ts";
import { nameHasSuffix } from "../base/name.ts";
import { Class, Type } from "./wire/codes.ts";
import type { Question, Resource } from "./wire/message.ts";
import { nameText, readName } from "./wire/wire_name.ts";

/** Aliases followed; resolvers give up earlier. */
const MAX_ALIASES = 32;

export interface Chain {
  /** In the order of the answer; owners that are the question's name have its spelling. */
  readonly records: readonly Resource[];
  /** Names that the aliases lead to, as `nameText` gives them. */
  readonly targets: readonly string[];
}

export function chainOf(question: Question, answers: readonly Resource[]): Chain {
  const named = withOneAlias(
    answers
      .filter((record) => record.class === Class.IN)
      .map((record) => ({ record, owner: nameText(record.name) })),
  );
  const start = nameText(question.name);
  const owners = ownersFrom(start, named);
  const isOwner = new Set(owners);
  const isAbove = (name: string) => owners.some((owner) => nameHasSuffix(owner, name));
  const linked = named.filter(({ record, owner }) => {
    if (isOwner.has(owner)) return isAsked(record.type, question.type);
    // A DNAME stands above the names it renames (RFC 6672), and so does its signature.
    return (record.type === Type.DNAME || record.type === Type.RRSIG) && isAbove(owner);
  });
  return {
    records: linked.map(({ record, owner }) =>
      owner === start ? { ...record, name: question.name } : record
    ),
    targets: linked.flatMap(({ record }) => isAlias(record) ? [targetOf(record)] : []),
  };
}

interface Named {
  readonly record: Resource;
  readonly owner: string;
}

/** A name has one alias at most (RFC 1034 §3.6.2): of several, clients would choose as they like. */
function withOneAlias(named: readonly Named[]): Named[] {
  const aliases = new Set<string>();
  return named.filter(({ record, owner }) => {
    if (!isAlias(record)) return true;
    const key = `${record.type} ${owner}`;
    if (aliases.has(key)) return false;
    aliases.add(key);
    return true;
  });
}

function ownersFrom(start: string, named: readonly Named[]): string[] {
  const next = new Map<string, string>();
  for (const { record, owner } of named) {
    if (record.type === Type.CNAME && record.data.length > 0) next.set(owner, targetOf(record));
  }
  const owners = [start];
  for (let i = 0; i < MAX_ALIASES; i++) {
    const target = next.get(owners.at(-1) ?? "");
    if (target === undefined || owners.includes(target)) break;
    owners.push(target);
  }
  return owners;
}

const ALWAYS_ASKED: ReadonlySet<number> = new Set([Type.CNAME, Type.DNAME, Type.RRSIG]);

function isAsked(type: number, asked: number): boolean {
  return type === asked || asked === Type.ANY || ALWAYS_ASKED.has(type);
}

function isAlias({ type, data }: Resource): boolean {
  return (type === Type.CNAME || type === Type.DNAME) && data.length > 0;
}

function targetOf(record: Resource): string {
  return nameText(readName(new Cursor(record.data)));
}
