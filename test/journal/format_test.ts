import { expect, test } from "bun:test";
import fc from "fast-check";
import {
  EVENTS,
  type FieldName,
  fieldOf,
  type JournalEvent,
  parseLine,
  printLine,
} from "../../lib/journal/format.ts";
import { isRefusal } from "../../lib/journal/record.ts";
import { spell } from "../../lib/journal/spell.ts";
import { Totals } from "../../lib/journal/totals.ts";

const text = fc.oneof(
  fc.string({ unit: "binary", maxLength: 40 }),
  fc.constantFrom("", "\u001b[2J", "\u202e", "\ud800", "\n", "__proto__", "10.0.0.5:5432"),
);
const number = fc.oneof(fc.nat(), fc.double({ noNaN: true, noDefaultInfinity: true, min: 0 }))
  .map((value) => value + 0);

const VALUES = {
  text,
  number,
  texts: fc.array(text, { maxLength: 4 }),
  words: fc.record({ outbound: text, inbound: text }),
} as const;

type Fields = Readonly<
  Record<string, { readonly kind: keyof typeof VALUES; readonly optional: boolean }>
>;

/** Any line that a writer's type lets through, save that its words are any words. */
const event = fc.constantFrom(...Object.entries(EVENTS)).chain(([name, fields]) => {
  const present: Record<string, fc.Arbitrary<unknown>> = {};
  const required: string[] = ["event"];
  for (const [field, { kind, optional }] of Object.entries(fields as Fields)) {
    present[field] = VALUES[kind];
    if (!optional) required.push(field);
  }
  return fc.record({ event: fc.constant(name), ...present }, {
    requiredKeys: required as "event"[],
  });
});
const time = fc.date({ noInvalidDate: true, min: new Date(0), max: new Date(4e12) });

test("what is written is what is read, every field of every event, on one line of safe characters", () => {
  fc.assert(
    fc.property(time, event, (at, written) => {
      const line = printLine(at, "run", written as unknown as JournalEvent);
      expect(line).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u);
      const record = parseLine(line);
      if (record === null) throw new Error("not read back");
      const { event: name, ...fields } = written as Record<string, unknown>;
      expect(record).toEqual({ time: at.toISOString(), run: "run", event: name as string, fields });
      const declared = EVENTS[name as keyof typeof EVENTS];
      for (const field of Object.keys(declared) as FieldName[]) {
        expect([field, fieldOf(record, field)]).toEqual([field, fields[field] as never]);
      }
    }),
    { numRuns: 2_000 },
  );
});

test("a line that anybody touched is read without a fault, and shown safely", () => {
  const fields = fc.dictionary(
    fc.constantFrom(...new Set(Object.values(EVENTS).flatMap((each) => Object.keys(each)))),
    fc.jsonValue(),
  );
  const name = fc.oneof(fc.constantFrom(...Object.keys(EVENTS)), text);
  fc.assert(
    fc.property(name, fields, (event, values) => {
      const record = parseLine(JSON.stringify({ ...values, time: "t", event }));
      if (record === null) throw new Error("not read");
      for (const shown of Object.values(spell(record))) {
        expect(shown).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u);
      }
      const totals = new Totals();
      totals.add(record);
      for (const { up, down } of totals.hosts) expect([up, down].every(Number.isFinite)).toBe(true);
      expect(typeof isRefusal(record)).toBe("boolean");
    }),
    { numRuns: 2_000 },
  );
});

test("a name has one kind, whichever event it is of", () => {
  const kinds = new Map<string, string>();
  for (const fields of Object.values(EVENTS)) {
    for (const [name, { kind }] of Object.entries(fields)) {
      expect([name, kinds.get(name) ?? kind]).toEqual([name, kind]);
      kinds.set(name, kind);
    }
  }
  expect(kinds.size).toBeGreaterThan(30);
});
