/** What a gate found out about fields that were said before changes nothing of what it decides. */
import { describe, expect, test } from "bun:test";
import { secretGate } from "../../lib/gate/secret_gate.ts";
import { type Field, field } from "../../lib/http/fields.ts";
import type { Verdict } from "../../lib/http/gate.ts";
import { type HttpRequest, NO_BODY } from "../../lib/http/request.ts";
import { PLACES } from "../../lib/policy/model/secret.ts";
import type { HeldSecret } from "../../lib/secret/grant.ts";
import { Tripwire } from "../../lib/secret/tripwire.ts";
import { SecretValue } from "../../lib/secret/value.ts";
import type { Vault } from "../../lib/secret/vault.ts";
import { converse, head } from "../http/conversation.ts";
import { converse as converse2, GET } from "../http/h2_conversation.ts";
import { settle } from "../http/h2_peer.ts";
import { API, held } from "../secret/held.ts";
import { random } from "../support/random.ts";
import { TRUSTED } from "./kept.ts";

const places = new Set(PLACES);
const A = held("value of A", { name: "A", places, pathPrefix: "/a" });
const B = held("value of B", { name: "B", places, headers: { kind: "any" } });
const TOKEN = held("token of C", { name: "C", places });
const FOREIGN = held("value of D", { name: "D", hosts: ["other.allowed.test"] });

const FIELDS: readonly (readonly Field[])[] = [
  [],
  [field("Authorization", `Bearer ${A.placeholder.text}`), field("Accept-Encoding", "gzip, x-odd")],
  [
    field("X-Note", B.placeholder.text),
    field("Range", "bytes=0-1"),
    field("accept-encoding", "br"),
  ],
  [field("Authorization", `Bearer ${TOKEN.placeholder.text}`)],
  [field("X-Api-Key", "a key of the guest's own")],
  [field("X-Note", FOREIGN.placeholder.text)],
  [field(A.placeholder.text, "1"), field("X-Note", A.placeholder.core.toUpperCase())],
  Array.from({ length: 70 }, () => field("X-Note", B.placeholder.text)),
];
const TARGETS = ["/", "/a/1", `/a?k=${B.placeholder.text}`, "/?token=abc", `/${"x".repeat(50)}`];

/** A vault that changes: values are rotated, secrets taken back, tokens come. */
class ChangingVault implements Vault {
  readonly onViolation = "block";
  kept: Vault["kept"] = [A, B, FOREIGN];
  values: readonly HeldSecret[] = [A, B];
  readonly tripwire = new Tripwire(named(this.kept));

  heldFor(host: string): readonly HeldSecret[] {
    return host === API ? this.values : [];
  }

  known(host: string): readonly HeldSecret[] {
    return this.heldFor(host);
  }

  permit(): void {}

  keep(kept: Vault["kept"], values: readonly HeldSecret[]): void {
    this.kept = kept;
    this.values = values;
    this.tripwire.set(named(kept));
  }
}

function named(kept: Vault["kept"]) {
  return kept.map(({ secret: { name }, placeholder }) => ({ name, placeholder }));
}

const CHANGES: readonly ((vault: ChangingVault, turn: number) => void)[] = [
  (vault, turn) => {
    const value = SecretValue.of("B", `value ${turn} of B`);
    vault.values = vault.values.map((one) => one.secret.name === "B" ? { ...B, value } : one);
  },
  (vault) => vault.keep([A, B, FOREIGN], [B]),
  (vault) => vault.keep([A, B, FOREIGN], [A, B]),
  (vault) => vault.keep([A, B, FOREIGN, TOKEN], [A, B, TOKEN]),
];

function gateOver(vault: Vault) {
  const told: unknown[] = [];
  const gate = secretGate({
    judge: () => null,
    vault,
    session: { ...TRUSTED, isPinned: () => true },
    onUse: (use) => told.push(use),
    onViolation: (violation) => told.push(violation),
  });
  return { gate, told };
}

function decided(verdict: Verdict | Promise<Verdict>) {
  if (verdict instanceof Promise) throw new Error("no source is asked here");
  if (verdict.kind !== "pass") return verdict;
  const { kind, target, fields, whole } = verdict;
  return { kind, target, fields, whole };
}

test("a gate with a memory decides and tells as one without", () => {
  const { below } = random(7);
  const vault = new ChangingVault();
  const one = gateOver(vault);
  const seen = new Set<string>();
  let fields: readonly Field[] = [];
  for (let turn = 0; turn < 4_000; turn++) {
    if (below(3) === 0) fields = FIELDS[below(FIELDS.length)] ?? [];
    if (below(5) === 0) CHANGES[below(CHANGES.length)]?.(vault, turn);
    const request: HttpRequest = {
      method: below(4) === 0 ? "DELETE" : "GET",
      scheme: "https",
      authority: { host: below(5) === 0 ? "other.allowed.test" : API, port: 443 },
      target: TARGETS[below(TARGETS.length)] ?? "/",
      fields,
      body: NO_BODY,
    };
    const fresh = gateOver(vault);
    const expected = decided(fresh.gate(request));
    const before = one.told.length;
    expect(decided(one.gate(request))).toEqual(expected);
    expect(one.told.slice(before)).toEqual(fresh.told);
    seen.add(expected.kind === "pass" ? "pass" : `${expected.kind} ${expected.refusal.reason}`);
  }
  expect([...seen].toSorted()).toEqual([
    "pass",
    "refuse foreign-credential",
    "refuse secret-unreadable",
    "reset secret-violation",
  ]);
});

describe("a relay knows fields that say the same", () => {
  const seen: (readonly Field[])[] = [];
  const gate = ({ fields }: HttpRequest) => {
    seen.push(fields);
    return { kind: "pass" } as const;
  };

  test("in HTTP/1", async () => {
    seen.length = 0;
    const { guest, server } = converse({ gate });
    const say = async (...lines: string[]) => {
      guest.say(head(...lines));
      await settle();
      server.say(head("HTTP/1.1 200 OK", "content-length: 0"));
      await settle();
    };
    await say("GET /1 HTTP/1.1", `Host: ${API}`, "X: 1", "Connection: keep-alive");
    await say("GET /2 HTTP/1.1", `Host: ${API}`, "X: 1", "Connection: keep-alive");
    await say("GET /3 HTTP/1.1", `Host: ${API}`, "X: 2");
    await say("GET /4 HTTP/1.1", `Host: ${API}`, "x: 2");
    expect(seen.length).toBe(4);
    expect([seen[0] === seen[1], seen[1] === seen[2], seen[2] === seen[3]])
      .toEqual([true, false, false]);
    expect(seen.map((fields) => fields.map(({ name, value }) => `${name} ${value}`)[1]))
      .toEqual(["X 1", "X 1", "X 2", "x 2"]);
  });

  test("in HTTP/2", async () => {
    seen.length = 0;
    const { guest } = await converse2({ gate });
    const fields = { ...GET, ":authority": API, x: "1" };
    for (const id of [1, 3]) {
      guest.headers(id, fields, true);
      await settle();
    }
    expect(seen.length).toBe(2);
    expect(seen[0] === seen[1]).toBe(true);
  });
});
