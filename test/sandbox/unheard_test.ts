/**
 * Who is led to a server on the guest's loopback: whoever policy lets in by a loopback address of this
 * machine, and nobody else, whatever the guest answers.
 */
import { expect, test } from "bun:test";
import { Pins } from "../../lib/dns/pins.ts";
import type { ToNetstack } from "../../lib/flow/control_message.ts";
import { FlowTable } from "../../lib/flow/flow_table.ts";
import type { LoopbackServer } from "../../lib/guest/agent/result.ts";
import type { ReachQuestion } from "../../lib/guest/guest.ts";
import { type Snapshot, snapshotOf } from "../../lib/judge/snapshot.ts";
import { compilePolicy } from "../../lib/policy/decide/compile.ts";
import type { Policy } from "../../lib/policy/model/policy.ts";
import { parseRule } from "../../lib/policy/text/grammar.ts";
import { Publisher } from "../../lib/sandbox/publisher.ts";
import { Unanswered } from "../../lib/sandbox/unanswered.ts";
import { type AskGuest, Unheard } from "../../lib/sandbox/unheard.ts";
import { ManualClock } from "../support/manual_clock.ts";

const GUEST_PORT = 8000;
const WAY_IN = 40_000;
const NOBODY = "nothing listens on tcp port 8000 in the guest";
const LOCAL_ONLY = "connections to 0.0.0.0:18000 are refused: the guest's server listens on its " +
  "127.0.0.1 only; publish it on 127.0.0.1, or let it listen on 0.0.0.0";

function policyOf(...rules: readonly string[]): Policy {
  return {
    network: true,
    rules: rules.map(parseRule),
    defaults: { outbound: "allow", inbound: "allow" },
    denyWith: "drop",
  };
}

interface Published {
  readonly bind: string;
  readonly guestPort?: number;
  readonly protocol?: "tcp" | "udp";
}

/** Publications on host port 18000, numbered from 1, to a guest that answers by `askGuest`. */
async function publishing(askGuest: AskGuest, ...publications: readonly Published[]) {
  const clock = new ManualClock();
  const sent: ToNetstack[] = [];
  const notices: string[] = [];
  const questions: ReachQuestion[] = [];
  const control = { send: (message: ToNetstack) => void sent.push(message) };
  const publisher = new Publisher(control);
  const unanswered = new Unanswered((line) => notices.push(line));
  const nowhere = { addresses: [], links: [] };
  let snapshot: Snapshot = snapshotOf({ policy: policyOf() }, nowhere, new Pins());
  const table = new FlowTable({
    snapshot: () => snapshot,
    control,
    pins: new Pins(),
    onEvent: (event) => unanswered.see(event),
  });
  const unheard = new Unheard({
    control,
    table,
    publisher,
    unanswered,
    askGuest: (question) => {
      questions.push(question);
      return askGuest(question);
    },
    clock,
  });
  for (const { bind, guestPort = GUEST_PORT, protocol = "tcp" } of publications) {
    const done = publisher.publish({ bind, hostPort: 18_000, guestPort, protocol });
    const ref = sent.findLast((message) => message.t === "publish")?.ref ?? 0;
    publisher.take({ t: "published", ref, addr: bind, port: 18_000 });
    await done;
  }
  const come = (id: number, ref: number, proto: "tcp" | "udp" = "tcp") => {
    const peer = { src: "127.0.0.1", sport: 50_000, dst: "192.168.127.2", dport: GUEST_PORT };
    table.take({ t: "flow", id, epoch: 1, proto, dir: "inbound", ref, ...peer });
  };
  const reached = () => sent.flatMap((message) => message.t === "reach" ? [message] : []);
  /** Flow `id` comes through publication `ref` and finds nobody; netstack then says how it ended. */
  const knock = async (id: number, ref: number) => {
    come(id, ref);
    const taken = unheard.take(id);
    await clock.pass(100);
    await taken;
    const port = reached().findLast((message) => message.id === id)?.port;
    if (port === 0) {
      table.take({ t: "closed", id, up: 0, down: 0, ms: 1, end: "refused" });
    }
    return port;
  };
  const enter = (...rules: readonly string[]) => {
    const generation = snapshot.generation + 1;
    snapshot = { ...snapshot, compiled: compilePolicy(policyOf(...rules)), generation };
    table.enforce(table.judged(snapshot));
  };
  return { clock, table, unheard, questions, notices, come, knock, reached, enter };
}

const found = (at: string, port?: number): AskGuest => () =>
  Promise.resolve(port === undefined ? { at } : { at, port });
const nobody: AskGuest = () => Promise.resolve(null);

test.each(["127.0.0.1", "127.8.9.10", "::1"])(
  "a connection to %s is led to the server's way in",
  async (bind) => {
    for (const at of ["127.0.0.1", "::1"]) {
      const { knock, questions, notices } = await publishing(found(at, WAY_IN), { bind });
      expect(await knock(1, 1)).toBe(WAY_IN);
      expect(questions).toEqual([{ port: GUEST_PORT, forward: true, avoid: [GUEST_PORT] }]);
      expect(notices).toEqual([]);
    }
  },
);

test.each(["0.0.0.0", "::", "192.168.1.5", "2001:db8::5"])(
  "a connection to %s is not, although the guest offers a way, and that is said once",
  async (bind) => {
    for (const at of ["127.0.0.1", "::1"]) {
      const { knock, questions, notices } = await publishing(found(at, WAY_IN), { bind });
      expect([await knock(1, 1), await knock(2, 1), await knock(3, 1)]).toEqual([0, 0, 0]);
      expect(questions[0]).toEqual({ port: GUEST_PORT, forward: false, avoid: [GUEST_PORT] });
      const endpoint = bind.includes(":") ? `[${bind}]:18000` : `${bind}:18000`;
      const everywhere = at === "::1" ? "::" : "0.0.0.0";
      expect(notices).toEqual([
        `connections to ${endpoint} are refused: the guest's server listens on its ${at} only; ` +
        `publish it on 127.0.0.1, or let it listen on ${everywhere}`,
      ]);
    }
  },
);

test("where a port is published on both, each connection is as its own address says", async () => {
  const answer: AskGuest = ({ forward }) =>
    Promise.resolve({ at: "127.0.0.1", ...(forward ? { port: WAY_IN } : {}) });
  const { knock, notices } = await publishing(
    answer,
    { bind: "127.0.0.1" },
    { bind: "0.0.0.0" },
  );
  expect([await knock(1, 1), await knock(2, 2), await knock(3, 1)]).toEqual([WAY_IN, 0, WAY_IN]);
  expect(notices).toEqual([LOCAL_ONLY]);
});

test("where nobody listens either, that is said once, and a later server is found", async () => {
  let server: LoopbackServer | null = null;
  const { knock, notices } = await publishing(() => Promise.resolve(server), { bind: "127.0.0.1" });
  expect([await knock(1, 1), await knock(2, 1)]).toEqual([0, 0]);
  expect(notices).toEqual([NOBODY]);
  server = { at: "127.0.0.1", port: WAY_IN };
  expect(await knock(3, 1)).toBe(WAY_IN);
  expect(notices).toEqual([NOBODY]);
});

test("a way in that others may have a way to is none", async () => {
  const { knock, questions } = await publishing(
    found("127.0.0.1", WAY_IN),
    { bind: "127.0.0.1" },
    { bind: "0.0.0.0", guestPort: WAY_IN },
  );
  expect(await knock(1, 1)).toBe(0);
  expect(questions[0]?.avoid).toEqual([GUEST_PORT, WAY_IN]);
});

test("what is not a connection that was let in is led nowhere, and the guest not asked", async () => {
  const { knock, come, unheard, reached, enter, questions, notices } = await publishing(
    found("127.0.0.1", WAY_IN),
    { bind: "127.0.0.1" },
  );
  await unheard.take(77); // nobody's
  expect(await knock(1, 9)).toBe(0); // through no publication
  enter("deny:inbound@any");
  come(2, 1);
  await unheard.take(2);
  expect(reached().map(({ id, port }) => [id, port])).toEqual([[77, 0], [1, 0], [2, 0]]);
  expect([questions, notices]).toEqual([[], [NOBODY]]);
});

test("a connection that policy ends while the guest is asked is led nowhere, without a word", async () => {
  for (const bind of ["127.0.0.1", "0.0.0.0"]) {
    const answer = Promise.withResolvers<LoopbackServer | null>();
    const { clock, come, unheard, reached, enter, notices, table } = await publishing(
      () => answer.promise,
      { bind },
    );
    come(1, 1);
    const taken = unheard.take(1);
    await clock.pass(10);
    enter("deny:inbound@any");
    table.take({ t: "closed", id: 1, up: 0, down: 0, ms: 1, end: "killed" });
    answer.resolve({ at: "127.0.0.1", port: WAY_IN });
    await clock.pass(10);
    await taken;
    expect([reached(), notices]).toEqual([[{ t: "reach", id: 1, port: 0 }], []]);
  }
});

test("a guest that never answers is waited for five seconds, by a crowd as by one", async () => {
  const { clock, come, unheard, reached, questions } = await publishing(
    () => new Promise(() => {}),
    { bind: "127.0.0.1" },
  );
  for (let id = 1; id <= 100; id++) {
    come(id, 1);
    void unheard.take(id);
  }
  await clock.pass(4_999);
  expect(reached()).toEqual([]);
  await clock.pass(1);
  expect(reached().map(({ port }) => port)).toEqual(Array(100).fill(0));
  expect(questions).toHaveLength(1);
});

test("a hundred connections at once ask once", async () => {
  const { clock, come, unheard, reached, questions } = await publishing(
    found("127.0.0.1", WAY_IN),
    { bind: "127.0.0.1" },
  );
  for (let id = 1; id <= 100; id++) {
    come(id, 1);
    void unheard.take(id);
  }
  await clock.pass(10);
  expect(reached().map(({ port }) => port)).toEqual(Array(100).fill(WAY_IN));
  expect(questions).toHaveLength(1);
});

test("over UDP the guest is not asked, and netstack not answered; it is said once", async () => {
  const { come, unheard, reached, questions, notices } = await publishing(nobody, {
    bind: "127.0.0.1",
    protocol: "udp",
  });
  for (const id of [1, 2]) {
    come(id, 1, "udp");
    await unheard.take(id);
  }
  expect([reached(), questions]).toEqual([[], []]);
  expect(notices).toEqual([
    "nothing listens on udp port 8000 in the guest where others reach it: a server has to listen " +
    "on 0.0.0.0 or ::, not on 127.0.0.1 or ::1 alone",
  ]);
});
