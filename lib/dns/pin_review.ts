/**
 * Which pins would not have been made under other settings. Pure.
 *
 * @module
 */
import { parseAddress } from "../base/address.ts";
import type { Pin, PinTable } from "../policy/model/policy.ts";
import { isWithheld, judgeQuestion, judgeTarget, type NameSnapshot, type Via } from "./filter.ts";
import type { Pins } from "./pins.ts";
import { hostQuestion } from "./wire/message.ts";

const WAYS: readonly Via[] = ["udp", "tcp"];

/**
 * The pins that do not hold under `after`: their names would be refused, or answered otherwise.
 * `elsewhere`: other resolvers are asked than those that answered.
 */
export function withoutGround(
  pins: Pick<Pins, "all" | "aliasesOf">,
  before: NameSnapshot,
  after: NameSnapshot,
  elsewhere: boolean,
): readonly Pin[] {
  const names = new Map<string, (address: string) => boolean>();
  return pins.all().filter(({ name, address }) => {
    const holds = names.get(name) ?? ground(name, pins.aliasesOf(name), before, after, elsewhere);
    names.set(name, holds);
    return !holds(address);
  });
}

/** Whether the name, asked for again, might be answered with the address. */
function ground(
  name: string,
  aliases: ReadonlySet<string>,
  before: NameSnapshot,
  after: NameSnapshot,
  elsewhere: boolean,
): (address: string) => boolean {
  const rulings = WAYS.map((via) => {
    const refused = [...aliases].some((target) => judgeTarget(after, target, via) !== null);
    return refused ? null : judgeQuestion(after, hostQuestion(name), via);
  });
  const known = rulings.find((ruling) => ruling?.kind === "known");
  if (known?.kind === "known") {
    const { origin, addresses } = known.known;
    const texts = new Set(addresses.map(({ text }) => text));
    if (origin === "guest") return () => false;
    return (address) => texts.has(address) && (origin === "user" || isShown(after, address));
  }
  // What was known here was never asked for.
  const isAsked = rulings.some((ruling) => ruling?.kind === "ask");
  if (!isAsked || elsewhere || before.known.find(name) !== null) return () => false;
  return (address) => isShown(after, address);
}

function isShown(snapshot: NameSnapshot, text: string): boolean {
  if (!snapshot.rebindProtection) return true;
  const address = parseAddress(text);
  return address !== null && !isWithheld(snapshot, address);
}

/** The table without some of its pins, for judging by. */
export function withoutPins(table: PinTable, gone: readonly Pin[]): PinTable {
  if (gone.length === 0) return table;
  const names = new Map<string, Set<string>>();
  for (const { name, address } of gone) {
    names.set(address, (names.get(address) ?? new Set()).add(name));
  }
  const has = (name: string, address: string) =>
    names.get(address)?.has(name) !== true && table.has(name, address);
  return {
    has,
    *namesOf(address) {
      for (const name of table.namesOf(address)) if (has(name, address)) yield name;
    },
  };
}
