import { describe, expect, test } from "bun:test";
import { SbxError } from "../../lib/base/errors.ts";
import { NO_JOURNAL } from "../../lib/journal/journal.ts";
import { Events, followed, requireEvents, type SandboxEvent } from "../../lib/sandbox/events.ts";

const notice = (line: string): SandboxEvent => ({ kind: "notice", line });

/** Everything up to the end, as short words. */
async function all(events: AsyncIterable<SandboxEvent>): Promise<string[]> {
  const words: string[] = [];
  for await (const event of events) words.push(wordOf(event));
  return words;
}

function wordOf(event: SandboxEvent): string {
  switch (event.kind) {
    case "journal":
      return `journal ${event.record.event}`;
    case "notice":
      return event.line;
    case "lost":
      return `lost ${event.count}`;
    case "exit":
      return `exit ${event.error?.code ?? ""}`.trim();
    case "denial":
      return event.denial.line;
  }
}

describe("whoever reads the events of a sandbox", () => {
  test("gets them in order, from the call on, to the exit", async () => {
    const events = new Events();
    events.tell(notice("before"));
    const read = events.read();
    const journal = followed(NO_JOURNAL, events);
    events.tell(notice("one"));
    journal.write({ event: "limit", what: "rate", count: 3 });
    const words = all(read);
    events.tell(notice("two"));
    events.end(new SbxError("GUEST_LOST", "Cannot go on: it is gone"));
    events.tell(notice("after"));
    expect(await words).toEqual(["one", "journal limit", "two", "exit GUEST_LOST"]);
    expect(await all(events.read())).toEqual(["exit GUEST_LOST"]);
  });

  test("gets no other kinds than it asks for", async () => {
    const events = new Events();
    const read = events.read({ kinds: ["journal", "exit"] });
    events.tell(notice("one"));
    followed(NO_JOURNAL, events).write({ event: "full" });
    events.end(undefined);
    expect(await all(read)).toEqual(["journal full", "exit"]);
  });

  test.each([
    ["too many", { events: 3, characters: 10_000 }],
    ["too long", { events: 10_000, characters: 3 * JSON.stringify(notice("e0")).length }],
  ])("slowly loses those that are %s, where a count stands for them", async (_, limits) => {
    const events = new Events(limits);
    const read = events.read();
    const quick = all(events.read());
    for (let n = 0; n < 6; n++) {
      events.tell(notice(`e${n}`));
      await Promise.resolve();
    }
    const first = [await read.next(), await read.next()].map(({ value }) => value && wordOf(value));
    expect(first).toEqual(["e0", "e1"]);
    events.tell(notice("e6"));
    events.end(undefined);
    expect(await all(read)).toEqual(["e2", "lost 3", "e6", "exit"]);
    expect(await quick).toHaveLength(8);
  });

  test("is told what it lost when nothing comes after that", async () => {
    const events = new Events({ events: 1, characters: 1_000 });
    const read = events.read();
    for (const line of ["one", "two", "three"]) events.tell(notice(line));
    const got = [await read.next(), await read.next()].map(({ value }) => value && wordOf(value));
    expect(got).toEqual(["one", "lost 2"]);
  });

  test("is none any more once it left or was called off", async () => {
    const events = new Events();
    const over = new AbortController();
    const waiting = all(events.read({ signal: over.signal }));
    for await (const _ of withOne(events)) break;
    expect(events.isFollowed).toBeTrue();
    over.abort();
    expect(await waiting).toEqual(["one"]);
    expect(events.isFollowed).toBeFalse();
    expect(await all(events.read({ signal: AbortSignal.abort() }))).toEqual([]);
  });
});

test.each([
  [{ kinds: ["denials"] }, 'there is no kind "denials"'],
  [{ kinds: "exit" }, "kinds is no list"],
  [{ kind: ["exit"] }, "there is no option"],
])("events(%j) is refused", (options, state) => {
  expect(() => requireEvents(options as never)).toThrow(state);
});

function withOne(events: Events): AsyncIterable<SandboxEvent> {
  const read = events.read();
  events.tell(notice("one"));
  return read;
}
