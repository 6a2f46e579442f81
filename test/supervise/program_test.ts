/**
 * What a program and the process of its sandbox tell each other.
 */
import { expect, test } from "bun:test";
import { SbxError } from "../../lib/base/errors.ts";
import { NetworkPolicy, Sandbox } from "../../lib/mod.ts";
import type { SandboxEvent } from "../../lib/sandbox/events.ts";
import type { SandboxOptions } from "../../lib/sandbox/options.ts";
import { readEvents } from "../../lib/supervise/event_lines.ts";
import { createdOptions, createRequest, requestOf } from "../../lib/supervise/program_protocol.ts";
import { AskedValues } from "../../lib/supervise/program_values.ts";
import { z } from "zod";

/** Through JSON, as the socket has it. */
function arrived(options: SandboxOptions, ask = (_: string) => () => "asked"): SandboxOptions {
  const request = z.strictObject(createRequest).parse(
    JSON.parse(JSON.stringify(requestOf(options))),
  );
  return createdOptions(request, ask);
}

const FULL = Sandbox.builder("own").hostname("own.example").user("nobody").cpus(2).memory(512)
  .disk("1G").template(false).mount("src", "/src", { readOnly: true }).env("A", "b")
  .workdir("/tmp").timeout(1_500).journal("net.jsonl", { command: "sh" }).inputs("policy.yaml")
  .secret("TOKEN@api.example.com")
  .network((network) =>
    network.policy(NetworkPolicy.none()).allow("api.example.com:443").denyWith("reject")
      .blockDomain("ads.example").addHost("db.example", "192.0.2.7").dnsServers(["192.0.2.53"])
      .maxConnections(10).newFlowsPerSecond(5).tls((tls) => tls.bypass("pinned.example"))
      .publish({ hostPort: 8080, guestPort: 80, protocol: "tcp" })
  ).build();

test("a sandbox that was described arrives as it was", () => {
  const { network: { secretValues: _, ...network }, ...options } = arrived(FULL);
  expect({ ...options, network }).toEqual(FULL);
});

test("values of the program go apart from what is declared, or are asked for each time", () => {
  const options = Sandbox.builder()
    .secret("FIXED", (secret) => secret.value("the value").hosts("a.example"))
    .secret("ASKED", (secret) => secret.value(() => "never called").hosts("a.example"))
    .secret("OWN@a.example").build();
  const { spec, values } = requestOf(options);
  expect(values).toEqual({ FIXED: "the value", ASKED: null });
  expect(JSON.stringify(spec)).not.toContain("the value");
  const { network: { secrets, secretValues } } = arrived(options, (name) => () => `asked ${name}`);
  expect(secrets.secrets.map(({ name, source }) => [name, source.kind])).toEqual([
    ["FIXED", "program"],
    ["ASKED", "program"],
    ["OWN", "env"],
  ]);
  expect(secretValues?.get("FIXED")).toBe("the value");
  expect((secretValues?.get("ASKED") as () => string)()).toBe("asked ASKED");
  expect(secretValues?.get("OWN")).toBeUndefined();
});

test("a journal goes to a file, or a stream that both have", () => {
  const to = (path: string) => requestOf(Sandbox.builder().journal(path).build()).spec.journal;
  for (const path of ["net.jsonl", "/dev/stdout", "/dev/stderr", "/proc/self/fd/1", "/dev/fd/2"]) {
    expect(to(path)).toBe(path);
  }
  for (const path of ["/dev/fd/5", "/dev/stdin", "/proc/self/fd/12"]) {
    expect(() => to(path)).toThrow(
      `Cannot write the journal to ${path}: it is this program's alone`,
    );
  }
});

test("each question has its own answer, and only one", async () => {
  const asked: [number, string][] = [];
  const values = new AskedValues((...question) => asked.push(question));
  const ask = values.of("KEY");
  const readings = [ask(), ask(), ask(), ask()].map((reading) =>
    Promise.resolve(reading).then((value) => value, (error) => error)
  );
  expect(asked).toEqual([[1, "KEY"], [2, "KEY"], [3, "KEY"], [4, "KEY"]]);
  const say = (answer: object) => values.answer(JSON.stringify(answer));
  say({ ask: 2, value: "second", expiresMs: 4_000 });
  say({ ask: 2, value: "again" });
  say({ ask: 9, value: "of nobody" });
  say({ ask: 1, failed: "threw" });
  say({ ask: 3, failed: "no-reading" });
  say({ ask: 4, error: { code: "SECRET_UNAVAILABLE", message: "Cannot read it: locked" } });
  const [threw, reading, none, refused] = await Promise.all(readings);
  expect(reading).toEqual({ value: "second", expires: new Date(4_000) });
  expect(none).toEqual({});
  expect(threw).toBeInstanceOf(Error);
  expect(refused).toMatchObject({ code: "SECRET_UNAVAILABLE", message: "Cannot read it: locked" });
});

test("an answer that is none is refused", () => {
  const values = new AskedValues(() => {});
  for (const line of ["{}", "[]", '{"ask":1}', '{"ask":"1","value":"x"}', '{"ask":1,"value":7}']) {
    expect(() => values.answer(line)).toThrow("the program's answer is malformed");
  }
  expect(() => values.answer("{")).toThrow(SyntaxError);
});

const DENIAL = { kind: "denial", denial: { target: "tcp 10.0.0.1:80" } } as unknown as SandboxEvent;

function told(...lines: readonly object[]): ReadableStream<Uint8Array> {
  const text = lines.map((line) => `${JSON.stringify(line)}\n`).join("");
  return new Blob([text]).stream() as ReadableStream<Uint8Array>;
}

async function all(events: AsyncIterable<SandboxEvent>): Promise<string[]> {
  const kinds: string[] = [];
  for await (const { kind } of events) kinds.push(kind);
  return kinds;
}

test("events are read from the call on, to the exit that is told and no other", async () => {
  let givenUp = 0;
  const giveUp = () => void givenUp++;
  expect(await all(readEvents(told(DENIAL, { kind: "exit" }), { giveUp }))).toEqual([
    "denial",
    "exit",
  ]);
  expect(await all(readEvents(told(DENIAL), { giveUp }))).toEqual(["denial"]);
  for await (const _ of readEvents(told(DENIAL, DENIAL), { giveUp })) break;
  expect(givenUp).toBe(3);
});

test("a connection that is lost is the end of the reading, and says so behind what was told", async () => {
  const lost = new SbxError("SUPERVISOR_LOST", "Cannot go on: it is gone");
  const output = new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(new TextEncoder().encode(`${JSON.stringify(DENIAL)}\n`));
    },
    pull: (controller) => controller.error(lost),
  }, { highWaterMark: 0 });
  const kinds: string[] = [];
  const reading = async () => {
    for await (const { kind } of readEvents(output, { giveUp: () => {} })) kinds.push(kind);
  };
  expect(await reading().catch((error) => error)).toBe(lost);
  expect(kinds).toEqual(["denial"]);
});

test("a reading that is aborted ends, and the supervisor hears of it", async () => {
  const enough = new AbortController();
  let givenUp = 0;
  const giveUp = () => void givenUp++;
  const never = new ReadableStream<Uint8Array>();
  const reading = all(readEvents(never, { giveUp, signal: enough.signal }));
  enough.abort();
  expect(await reading).toEqual([]);
  expect(givenUp).toBeGreaterThan(0);
});
