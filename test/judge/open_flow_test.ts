/** Flows that are open already, judged by another policy than the one that let them pass. */
import { describe, expect, test } from "bun:test";
import { Pins } from "../../lib/dns/pins.ts";
import { FlowTable } from "../../lib/flow/flow_table.ts";
import type { FlowInfo } from "../../lib/judge/flow_info.ts";
import { judgeOpenFlow, type OpenFlow } from "../../lib/judge/open_flow.ts";
import { type Snapshot, snapshotOf } from "../../lib/judge/snapshot.ts";
import { fixedPins } from "../../lib/policy/model/fixed_pins.ts";
import type { PinTable } from "../../lib/policy/model/policy.ts";
import { NO_SECRETS } from "../../lib/policy/model/secret.ts";
import { DEFAULT_TLS, type TlsSettings } from "../../lib/policy/model/tls_settings.ts";
import { readInterception } from "../../lib/tls/interception.ts";
import { policyOf, setOf } from "../dns/fixture.ts";

const GOOD = { name: "good.cdn.test", address: "104.16.1.1" };
const NOWHERE = { addresses: [], links: [] };

interface Settings {
  readonly policy: ReturnType<typeof policyOf>;
  readonly blocked?: string;
  readonly tls?: Partial<TlsSettings>;
  readonly pins?: PinTable;
}

function snapshot({ policy, blocked, tls, pins = fixedPins([GOOD]) }: Settings): Snapshot {
  const interception = tls === undefined
    ? null
    : readInterception({ ...DEFAULT_TLS, intercept: true, ...tls }, NO_SECRETS);
  const names = blocked === undefined ? setOf() : setOf(blocked);
  return snapshotOf({ policy, blocked: names, interception }, NOWHERE, pins);
}

function flow(passage: OpenFlow["passage"], more: Partial<OpenFlow> = {}): OpenFlow {
  const info: FlowInfo = {
    proto: "tcp",
    dir: "outbound",
    src: "192.168.127.2",
    sport: 40_000,
    dst: GOOD.address,
    dport: 443,
  };
  const stated = passage === "unread" ? undefined : GOOD.name;
  return { info, passage, stated, requested: new Set(), proof: undefined, ...more };
}

const PROOF = { verified: true, authorities: [], opaque: false };
const OPEN = policyOf("allow");

describe("a flow that is open", () => {
  test.each<[what: string, settings: Settings, open: OpenFlow, outcome: string]>([
    ["unread, by address", { policy: OPEN }, flow("unread"), "allow default"],
    [
      "unread, to a denied address",
      { policy: policyOf("allow", "deny@104.16.0.0/12") },
      flow("unread"),
      "deny rule",
    ],
    [
      "unread, where another name is denied",
      { policy: policyOf("allow", "deny@bad.test") },
      flow("unread"),
      "allow default",
    ],
    [
      "unread, to the address of a denied name",
      { policy: policyOf("allow", "deny@good.cdn.test") },
      flow("unread"),
      "deny rule",
    ],
    [
      "unread, to the address of a listed name",
      { policy: OPEN, blocked: ".cdn.test" },
      flow("unread"),
      "deny blocked-name",
    ],
    [
      "unread, where nothing but a name opens the way",
      { policy: policyOf("deny", "allow@good.cdn.test") },
      flow("unread"),
      "deny unread",
    ],
    [
      "that stated that name",
      { policy: policyOf("deny", "allow@good.cdn.test") },
      flow("tls"),
      "allow rule",
    ],
    [
      "that stated it and has lost its pin",
      { policy: policyOf("deny", "allow@good.cdn.test"), pins: fixedPins([]) },
      flow("tls"),
      "deny default",
    ],
    ["unread, where TLS is opened now", { policy: OPEN, tls: {} }, flow("unread"), "deny unread"],
    ["of TLS, where TLS is opened now", { policy: OPEN, tls: {} }, flow("tls"), "deny unread"],
    [
      "of TLS, with a bypass",
      { policy: OPEN, tls: { bypass: [".cdn.test"] } },
      flow("tls"),
      "allow default",
    ],
    [
      "of bytes, where TLS is opened now",
      { policy: OPEN, tls: {} },
      flow("bytes"),
      "deny tls-expected",
    ],
    [
      "silent so far",
      { policy: OPEN, tls: {} },
      flow("silent", { stated: undefined }),
      "allow default",
    ],
    [
      "opened, as it still is",
      { policy: OPEN, tls: {} },
      flow("interception", { proof: PROOF }),
      "allow default",
    ],
    [
      "opened, whose server proved nothing",
      { policy: OPEN, tls: {} },
      flow("interception", { proof: { ...PROOF, verified: false } }),
      "deny upstream-untrusted",
    ],
    [
      "opened, whose server still has to prove nothing",
      { policy: OPEN, tls: { noVerify: [".cdn.test"] } },
      flow("interception", { proof: { ...PROOF, verified: false } }),
      "allow default",
    ],
    [
      "opened, whose server was proved by an authority that is gone",
      { policy: OPEN, tls: {} },
      flow("interception", { proof: { ...PROOF, authorities: ["/ca.pem"] } }),
      "deny upstream-untrusted",
    ],
    [
      "opened, that may carry something else than HTTP",
      { policy: OPEN, tls: {} },
      flow("interception", { proof: { ...PROOF, opaque: true } }),
      "deny tls-protocol",
    ],
    [
      "relayed, of whose requests one would be refused",
      { policy: policyOf("allow", "deny@bad.cdn.test") },
      flow("http", { requested: new Set(["good.cdn.test", "bad.cdn.test"]) }),
      "deny rule",
    ],
    [
      "relayed, with more hosts than are kept",
      { policy: policyOf("allow", "deny@bad.cdn.test") },
      flow("http", { requested: new Set(Array.from({ length: 256 }, (_, n) => `${n}.test`)) }),
      "deny unread",
    ],
  ])("%s", (_, settings, open, outcome) => {
    const { action, reason } = judgeOpenFlow(snapshot(settings), open);
    expect(`${action} ${reason}`).toBe(outcome);
  });
});

test("1,000 open flows take one judgement each", () => {
  let asked = 0;
  const pins = new Pins();
  pins.learn(GOOD.name, GOOD.address, 60);
  const counting: PinTable = {
    has: (name, address) => pins.has(name, address),
    namesOf: (address) => {
      asked++;
      return pins.namesOf(address);
    },
  };
  const sent: string[] = [];
  let now = snapshot({ policy: OPEN });
  const table = new FlowTable({
    snapshot: () => now,
    control: { send: ({ t }) => void sent.push(t) },
    pins,
    onEvent: () => {},
  });
  const open = (id: number) => {
    const { info } = flow("unread");
    table.take({ t: "flow", id, epoch: 1, ...info, sport: id });
    table.take({ t: "opened", id, dial: `${GOOD.address}:443` });
  };
  const other = snapshot({ policy: policyOf("allow", "deny@other.test"), pins: counting });
  const cost = (flows: number) => {
    while (table.size < flows) open(table.size + 1);
    asked = 0;
    expect(table.judged(other)).toHaveLength(flows);
    return asked;
  };
  const [ten, thousand] = [cost(10), cost(1_000)];
  expect(ten).toBeGreaterThan(0);
  expect(thousand).toBe(ten * 100);
  now = snapshot({ policy: policyOf("allow", "deny@good.cdn.test"), pins: counting });
  sent.length = 0;
  table.enforce(table.judged(now));
  expect(sent.filter((t) => t === "kill")).toHaveLength(1_000);
});
