/**
 * Asking resolvers on loopback that answer, lie, cut, refuse or keep silent.
 */
import { Buffer } from "node:buffer";
import { createSocket } from "node:dgram";
import { expect, test } from "bun:test";
import dnsPacket, { type Packet } from "dns-packet";
import { addressIn } from "../../lib/dns/rebind.ts";
import {
  type Ask,
  createUpstream,
  NoAnswer,
  type UpstreamOptions,
} from "../../lib/dns/upstream.ts";
import { parseMessage } from "../../lib/dns/wire/decode.ts";
import { rcodeOf } from "../../lib/dns/wire/message.ts";
import { type Behaviour, DnsServer } from "../support/dns_server.ts";
import { ManualClock } from "../support/manual_clock.ts";
import { a, edns, queryFor } from "./fixture.ts";

const API = a("api.allowed.test", "93.184.216.34");

function ask(name = "api.allowed.test"): Ask {
  const [question] = parseMessage(queryFor(name)).questions;
  if (question === undefined) throw new TypeError("no question");
  return { question, dnssecOk: false };
}

interface Resolvers extends AsyncDisposable {
  readonly servers: readonly DnsServer[];
  /** Addresses of the answer, or its response code when that is not 0, or the error's name. */
  say(name?: string): Promise<string>;
}

/** An upstream that asks one server for each behaviour, in order. */
async function resolvers(
  behaviours: readonly Behaviour[],
  options: Partial<UpstreamOptions> = {},
): Promise<Resolvers> {
  const servers = await Promise.all(behaviours.map(() => DnsServer.start([API])));
  servers.forEach((server, index) => server.behaviour = behaviours[index] ?? server.behaviour);
  const upstream = createUpstream({
    resolvers: servers.map(({ address, port }) => ({ address, port })),
    ...options,
  });
  return {
    servers,
    say: (name) =>
      upstream.ask(ask(name)).then((message) => {
        const addresses = message.answers.map((record) => addressIn(record)?.text);
        return rcodeOf(message) === 0 ? addresses.join(" ") : String(rcodeOf(message));
      }, (error: Error) => error.name),
    [Symbol.asyncDispose]: () => {
      for (const server of servers) server.close();
      return Promise.resolve();
    },
  };
}

const honest: Behaviour = (_, truth) => truth;
const silent: Behaviour = () => null;
const failing = (rcode: number): Behaviour => (_, truth) => ({
  ...truth,
  flags: (truth.flags ?? 0) & ~0xf | rcode,
  answers: [],
});

/** Until the server was asked this often. */
async function asked(server: DnsServer | undefined, times: number): Promise<void> {
  while ((server?.received.length ?? 0) < times) await Bun.sleep(1);
}

test("the first resolver answers, and no other hears of it", async () => {
  await using lab = await resolvers([honest, honest]);
  expect(await lab.say()).toBe("93.184.216.34");
  expect(lab.servers.map(({ received }) => received.length)).toEqual([1, 0]);
});

test.each([["FORMERR", 1], ["SERVFAIL", 2], ["NOTIMP", 4], ["REFUSED", 5]])(
  "a resolver that says %s is passed over at once",
  async (_, rcode) => {
    await using lab = await resolvers([failing(rcode), honest]);
    expect(await lab.say()).toBe("93.184.216.34");
  },
);

test("a resolver that says that signatures are wrong settles it: the next one may not look", async () => {
  const says = (code: number): Behaviour => (query, truth) => ({
    ...failing(2)(query, truth) as Packet,
    additionals: [edns(1232, { options: [{ code: 15, data: Buffer.from([0, code]) }] })],
  });
  for (const code of [6, 7, 8, 9, 10, 11, 12]) {
    await using lab = await resolvers([says(code), honest]);
    expect(await lab.say()).toBe("2");
    expect(lab.servers[1]?.received).toEqual([]);
  }
  await using other = await resolvers([says(22), honest]); // no server of the name's could be reached
  expect(await other.say()).toBe("93.184.216.34");
});

test("NXDOMAIN is an answer, and settles it", async () => {
  await using lab = await resolvers([failing(3), honest]);
  expect(await lab.say()).toBe("3");
  expect(lab.servers[1]?.received).toEqual([]);
});

test("when nobody does better, what the first one said counts", async () => {
  await using lab = await resolvers([failing(2), failing(5)]);
  expect(await lab.say()).toBe("2");
});

test("a silent resolver is overtaken after a second, and asked last for half a minute", async () => {
  const clock = new ManualClock();
  await using lab = await resolvers([silent, honest], { clock });
  const answer = lab.say();
  await asked(lab.servers[0], 1);
  expect(lab.servers[1]?.received).toEqual([]);
  await clock.pass(1_000);
  expect(await answer).toBe("93.184.216.34");
  expect(await lab.say()).toBe("93.184.216.34");
  expect(lab.servers[0]?.received.length).toBe(1);
  await clock.pass(30_001);
  const again = lab.say();
  await asked(lab.servers[0], 2);
  await clock.pass(1_000);
  expect(await again).toBe("93.184.216.34");
});

test("a late answer of the first resolver still counts", async () => {
  const clock = new ManualClock();
  const gate = Promise.withResolvers<void>();
  const late: Behaviour = async (_, truth) => {
    await gate.promise;
    return truth;
  };
  await using lab = await resolvers([late, silent], { clock });
  const answer = lab.say();
  await asked(lab.servers[0], 1);
  await clock.pass(1_000);
  await asked(lab.servers[1], 1);
  gate.resolve();
  expect(await answer).toBe("93.184.216.34");
});

test("a single resolver is asked again, and all silence ends at the deadline", async () => {
  const clock = new ManualClock();
  await using lab = await resolvers([silent], { clock, timeoutMs: 8_000 });
  const answer = lab.say();
  for (const [ms, times] of [[0, 1], [1_000, 2], [2_000, 3], [3_000, 4]] as const) {
    await clock.pass(ms);
    await asked(lab.servers[0], times);
  }
  await clock.pass(2_000);
  expect(await answer).toBe("NoAnswer");
  expect(lab.servers[0]?.received.length).toBe(4);
});

test("a closed port is noticed at once, and the next resolver asked", async () => {
  // On a clock that stands still nothing is noticed by waiting.
  await using lab = await resolvers([honest, honest], { clock: new ManualClock() });
  lab.servers[0]?.close();
  expect(await lab.say()).toBe("93.184.216.34");
});

test("no resolver at all is no answer", async () => {
  const upstream = createUpstream({ resolvers: [] });
  await expect(upstream.ask(ask())).rejects.toBeInstanceOf(NoAnswer);
});

test("a truncated answer is fetched over TCP", async () => {
  const many = Array.from({ length: 200 }, (_, i) => a("api.allowed.test", `93.184.216.${i + 1}`));
  await using lab = await resolvers([(_, truth) => ({ ...truth, answers: many })]);
  expect((await lab.say()).split(" ").length).toBe(200);
  expect(lab.servers[0]?.received.map(({ via }) => via)).toEqual(["udp", "tcp"]);
});

test("a resolver that knows no EDNS is asked without, from then on", async () => {
  const plain: Behaviour = (query, truth) =>
    query.packet.additionals?.length === 0 ? truth : failing(1)(query, truth);
  await using lab = await resolvers([plain]);
  expect(await lab.say()).toBe("93.184.216.34");
  expect(await lab.say()).toBe("93.184.216.34");
  const options = lab.servers[0]?.received.map(({ packet }) => packet.additionals?.length);
  expect(options).toEqual([1, 0, 0]);
});

test("ids and source ports differ from query to query", async () => {
  await using lab = await resolvers([honest]);
  for (let i = 0; i < 40; i++) await lab.say(`n${i}.test`);
  const received = lab.servers[0]?.received ?? [];
  expect(new Set(received.map(({ packet }) => packet.id)).size).toBeGreaterThan(35);
  expect(new Set(received.map(({ port }) => port)).size).toBeGreaterThan(35);
});

test("answers that do not fit the query are a stranger's", async () => {
  const lie = (truth: Packet, more: Partial<Packet>): Packet => ({
    ...truth,
    answers: [a("api.allowed.test", "45.33.32.156")],
    ...more,
  });
  const other = [{ type: "A", name: "evil.test" }] as const;
  await using lab = await resolvers([(_, truth) => [
    lie(truth, { id: ((truth.id ?? 0) + 1) & 0xffff }),
    lie(truth, { questions: [...other] }),
    lie(truth, { questions: [] }),
    lie(truth, { questions: [...truth.questions ?? [], ...other] }),
    lie(truth, { type: "query", flags: 0 }),
    Buffer.from("no message at all"),
    dnsPacket.encode(truth).subarray(0, 20),
    truth,
  ]]);
  expect(await lab.say()).toBe("93.184.216.34");
});

test("forged answers from another socket never count", async () => {
  const forger = createSocket("udp4");
  await using lab = await resolvers([async (query, truth) => {
    // It has even seen the id and the port; only the source is not the resolver's.
    const forged = dnsPacket.encode({ ...truth, answers: [a("api.allowed.test", "45.33.32.156")] });
    for (let i = 0; i < 20; i++) {
      await new Promise((sent) => forger.send(forged, query.port, "127.0.0.1", sent));
    }
    return truth;
  }]);
  try {
    expect(await lab.say()).toBe("93.184.216.34");
  } finally {
    forger.close();
  }
});

test("somebody who guesses ids at the resolver's address drives the question to TCP", async () => {
  const guess: Behaviour = (query, truth) => {
    if (query.via === "tcp") return truth;
    const forged = { ...truth, answers: [a("api.allowed.test", "45.33.32.156")] };
    return Array.from({ length: 20 }, (_, i) => ({
      ...forged,
      id: ((truth.id ?? 0) + 1 + i) & 0xffff,
    }));
  };
  await using lab = await resolvers([guess]);
  expect(await lab.say()).toBe("93.184.216.34");
  expect(lab.servers[0]?.received.map(({ via }) => via)).toEqual(["udp", "tcp"]);
});

test("questions beyond the limit wait, and none is lost", async () => {
  let open = 0;
  let most = 0;
  await using lab = await resolvers([async (query) => {
    most = Math.max(most, ++open);
    await Bun.sleep(2);
    open--;
    const name = query.packet.questions?.[0]?.name ?? "";
    const { id = 0, questions = [] } = query.packet;
    const answers = [a(name, "93.184.216.34")];
    return { type: "response", id, flags: 0x80, questions, answers, additionals: [edns()] };
  }], { concurrency: 8 });
  const answers = await Promise.all(Array.from({ length: 100 }, (_, i) => lab.say(`n${i}.test`)));
  expect(new Set(answers)).toEqual(new Set(["93.184.216.34"]));
  expect(most).toBeLessThanOrEqual(8);
});
