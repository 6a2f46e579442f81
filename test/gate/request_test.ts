/** The head of a request of a guest with placeholders, at its gate: what its server gets, and who hears of it. */
import { describe, expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import type { Secret } from "../../lib/policy/model/secret.ts";
import { PLACES } from "../../lib/policy/model/secret.ts";
import { SbxError } from "../../lib/base/errors.ts";
import type { GateSession } from "../../lib/gate/session.ts";
import { API, held } from "../secret/held.ts";
import { gateOf, told, TRUSTED, vaultOf } from "./kept.ts";
import { pass, type Said, VERSIONS } from "./passage.ts";

const VALUE = "s3cret/&=%+ value";
const WRITTEN = encodeURIComponent(VALUE);
const FOREIGN = "evil.test";

const keyWith = (changes: Partial<Secret> = {}) => held(VALUE, changes);
const everywhere = keyWith({ places: new Set(PLACES), headers: { kind: "any" } });
const usual = keyWith();
const bearer = (text: string) => [["authorization", `Bearer ${text}`]] as const;
const basic = (text: string) => `Basic ${Buffer.from(`me:${text}`).toString("base64")}`;

/** Is in no place of the head, whatever its disguise. */
function hasNone(bytes: string): boolean {
  return ![VALUE, WRITTEN, Buffer.from(VALUE).toString("base64").slice(2, -4)]
    .some((form) => bytes.includes(form));
}

describe.each(VERSIONS)("in %s", (version) => {
  describe("a placeholder for its own host", () => {
    test.each<[where: string, said: (text: string) => Said, value: string, use: string]>([
      ["a field", (text) => ({ fields: bearer(text) }), VALUE, "header"],
      [
        "Basic credentials",
        (text) => ({ fields: [["authorization", basic(text)]] }),
        VALUE,
        "basic",
      ],
      ["the query", (text) => ({ target: `/a?k=${text}&b=1` }), WRITTEN, "query"],
      ["the path", (text) => ({ target: `/a/${text}/b` }), WRITTEN, "path"],
    ])("becomes the value in %s, where that is a place of its own", async (_, said, value, use) => {
      const all = gateOf([everywhere]);
      const { heard, saw } = await pass(version, all.gate, said(everywhere.placeholder.text));
      const expected = said(value);
      expect(heard).toMatchObject({
        target: expected.target ?? "/",
        fields: expected.fields ?? [],
      });
      expect([saw, told(all)]).toEqual(["200", [`API_KEY sent ${use} 1`]]);

      const none = gateOf([keyWith({ places: new Set(), exclusive: false })]);
      const [one] = none.kept;
      const sent = said(one?.placeholder.text ?? "");
      const other = await pass(version, none.gate, sent);
      expect(other.heard).toMatchObject({ target: sent.target ?? "/", fields: sent.fields ?? [] });
      expect([other.saw, told(none)]).toEqual(["200", [`API_KEY inert ${use} 1`]]);
      expect(hasNone(other.bytes)).toBe(true);
    });

    test("stays one in a field that carries no credentials, and is told of", async () => {
      const all = gateOf([usual]);
      const fields = [
        ["x-note", usual.placeholder.text],
        ...bearer(usual.placeholder.text),
      ] as const;
      const { heard } = await pass(version, all.gate, { fields });
      expect(heard?.fields).toEqual([["x-note", usual.placeholder.text], ...bearer(VALUE)]);
      expect(told(all)).toEqual(["API_KEY sent header 1", "API_KEY inert header 1"]);
    });

    test("in a disguise stays one, and is told of", async () => {
      const all = gateOf([usual]);
      const hex = Buffer.from(usual.placeholder.text).toString("hex");
      const { heard, saw } = await pass(version, all.gate, { fields: [["x-note", hex]] });
      expect([heard?.fields, saw]).toEqual([[["x-note", hex]], "200"]);
      expect(told(all)).toEqual(["API_KEY inert elsewhere 1"]);
    });

    test("is known from the request on that it came to the vault before", async () => {
      const token = held("t0ken", { name: "TOKEN" });
      let kept = [usual];
      const all = vaultOf([usual, token]);
      const vault = {
        ...all,
        get kept() {
          return kept;
        },
      };
      const { gate } = gateOf([usual, token], { vault });
      const said = { fields: bearer(token.placeholder.text) };
      expect((await pass(version, gate, said)).saw).toBe("reset");
      kept = [usual, token];
      const { heard, saw } = await pass(version, gate, said);
      expect([heard?.fields, saw]).toEqual([bearer("t0ken"), "200"]);
    });

    test("is worth nothing over a session that could be anybody's", async () => {
      const sessions: Partial<GateSession>[] = [{ verified: false }, {
        verified: false,
        sni: null,
      }];
      for (const changes of sessions) {
        const all = gateOf([everywhere], { session: { ...TRUSTED, ...changes } });
        const sent = {
          target: `/?k=${everywhere.placeholder.text}`,
          fields: bearer(everywhere.placeholder.text),
        };
        const { heard, bytes, saw } = await pass(version, all.gate, sent);
        expect([heard?.target, heard?.fields, saw]).toEqual([sent.target, sent.fields, "200"]);
        expect(hasNone(bytes)).toBe(true);
        expect(told(all)).toEqual(["API_KEY inert elsewhere 1"]);
        expect(all.violations).toEqual([]);
      }
    });

    test("goes nowhere when the guest chose the address", async () => {
      const all = gateOf([everywhere], { session: { ...TRUSTED, isPinned: () => false } });
      const { bytes, saw, exchanges } = await pass(version, all.gate, {
        fields: bearer(everywhere.placeholder.text),
      });
      expect([bytes.includes("Bearer"), saw]).toEqual([false, "reset"]);
      expect(exchanges[0]?.refused).toEqual({ reason: "secret-violation", detail: "API_KEY" });
      expect(all.violations).toMatchObject([{ route: "request", to: API }]);
    });

    test.each<[what: string, bound: Partial<Secret>, inside: Said, outside: Said]>([
      ["method", { methods: ["GET"] }, { method: "GET" }, { method: "PUT" }],
      ["method, as some servers read it", { methods: ["POST"] }, { target: "/?_method=POST" }, {
        target: "/?_method=DELETE",
      }],
      ["path", { pathPrefix: "/v1" }, { target: "/v1/a" }, { target: "/v10" }],
      ["path, whatever is in it", { pathPrefix: "/v1" }, { target: "/v1?/../" }, {
        target: "/v1/../a",
      }],
    ])("becomes the value within the bounds of its %s only", async (_, bound, inside, outside) => {
      const one = keyWith(bound);
      const fields = bearer(one.placeholder.text);
      const all = gateOf([one]);
      const there = await pass(version, all.gate, { ...inside, fields });
      expect(there.heard?.fields).toEqual([...bearer(VALUE)]);
      const elsewhere = await pass(version, all.gate, { ...outside, fields });
      expect([elsewhere.heard?.fields, hasNone(elsewhere.bytes)]).toEqual([[...fields], true]);
      expect(told(all)).toEqual(["API_KEY sent header 1", "API_KEY inert elsewhere 1"]);
    });

    test("becomes the value 64 times, and no more often", async () => {
      const all = gateOf([everywhere]);
      const fields = (count: number) =>
        [["x-a", everywhere.placeholder.text.repeat(count)]] as const;
      const most = await pass(version, all.gate, { fields: fields(64) });
      expect(most.heard?.fields).toEqual([["x-a", VALUE.repeat(64)]]);
      const more = await pass(version, all.gate, { fields: fields(65) });
      expect([more.heard, more.saw]).toEqual([null, "502 secret-unreadable"]);
      expect(told(all)).toEqual(["API_KEY sent header 64"]);
    });
  });

  describe("a placeholder for another host", () => {
    test.each<[where: string, said: (text: string) => Said]>([
      ["the target", (text) => ({ target: `/?k=${text}` })],
      ["a field's value", (text) => ({ fields: bearer(text) })],
      ["a field's name", (text) => ({ fields: [[text.toLowerCase(), "1"]] })],
      ["Basic credentials", (text) => ({ fields: [["authorization", basic(text)]] })],
      ["percent signs", (text) => ({ target: `/${text.replaceAll("s", "%73")}` })],
      ["capitals", (text) => ({ target: `/${text.toUpperCase()}` })],
    ])("goes nowhere in %s, and its neighbour passes", async (_, said) => {
      const all = gateOf([everywhere], {
        session: { ...TRUSTED, sni: FOREIGN, isPinned: () => true },
      });
      const sent = { host: FOREIGN, ...said(everywhere.placeholder.text) };
      const { bytes, saw, exchanges } = await pass(version, all.gate, sent);
      expect([/POST|post/.test(bytes) || bytes.includes(FOREIGN), saw]).toEqual([false, "reset"]);
      expect(exchanges).toMatchObject([{ refused: { reason: "secret-violation" }, up: 0 }]);
      expect(all.violations).toMatchObject([
        { sightings: [{ name: "API_KEY" }], route: "request", to: FOREIGN },
      ]);
      expect(all.uses).toEqual([]);

      const next = { host: FOREIGN, ...said("placeholder") };
      const other = await pass(version, all.gate, next);
      expect([other.heard?.target, other.saw]).toEqual([next.target ?? "/", "200"]);
      expect(all.violations).toHaveLength(1);
    });

    test("that policy denies anyway gets its page, and is told of", async () => {
      const all = gateOf([everywhere], { judge: () => ({ reason: "default" }) });
      const fields = bearer(everywhere.placeholder.text);
      const { bytes, saw } = await pass(version, all.gate, { host: FOREIGN, fields });
      expect([bytes.includes("Bearer"), saw]).toEqual([false, "403 default"]);
      expect(all.violations).toHaveLength(1);
      const home = await pass(version, all.gate, { fields });
      expect([home.heard, home.saw]).toEqual([null, "403 default"]);
      expect([all.violations.length, all.uses]).toEqual([1, []]);
    });

    test("is not that of a secret which has both, nor one that nobody has", async () => {
      const both = keyWith({ name: "BOTH", hosts: [API, "other.test"] });
      const all = gateOf([both], {
        session: { ...TRUSTED, sni: "other.test", isPinned: (name) => name === "other.test" },
      });
      const fields = bearer(both.placeholder.text);
      const { heard } = await pass(version, all.gate, { host: "other.test", fields });
      expect(heard?.fields).toEqual([...bearer(VALUE)]);
      const stranger = bearer(keyWith().placeholder.text);
      const third = await pass(version, all.gate, { host: FOREIGN, fields: stranger });
      expect([third.heard?.fields, all.violations]).toEqual([[...stranger], []]);
    });
  });

  describe("a credential of the guest's own", () => {
    const own = { fields: bearer("gho_0123456789abcdef0123456789abcdef0123") };

    test.each<[what: string, said: Said, name: string]>([
      ["field", own, "authorization"],
      ["cookie", { fields: [["cookie", "session=abcdef"]] }, "session"],
      ["parameter", { target: "/?access_token=0123456789abcdef0123456789abcdef" }, "access_token"],
    ])("in a %s is refused at a host with an exclusive secret", async (_, said, name) => {
      const all = gateOf([keyWith({ exclusive: true })]);
      const { heard, saw, exchanges } = await pass(version, all.gate, said);
      expect([heard, saw]).toEqual([null, "403 foreign-credential"]);
      expect(exchanges[0]?.refused).toEqual({ reason: "foreign-credential", detail: name });
      expect((await pass(version, all.gate, { host: "other.test", ...said })).saw).toBe("200");
      expect((await pass(version, all.gate, {})).saw).toBe("200");

      const shared = gateOf([keyWith({ exclusive: false })]);
      expect((await pass(version, shared.gate, said)).saw).toBe("200");
    });

    test("is refused over plain HTTP as well, where the placeholder passes", async () => {
      const one = keyWith({ exclusive: true });
      const session = { ...TRUSTED, verified: false, sni: null };
      const all = gateOf([one], { session });
      expect((await pass(version, all.gate, own)).saw).toBe("403 foreign-credential");
      expect((await pass(version, all.gate, { fields: bearer(one.placeholder.text) })).saw).toBe(
        "200",
      );
    });
  });

  describe("the values of now", () => {
    const fields = bearer(usual.placeholder.text);

    test("are asked for at each request", async () => {
      let value = "one";
      const vault = vaultOf([usual], { heldFor: () => [{ ...usual, value: held(value).value }] });
      const all = gateOf([usual], { vault });
      expect((await pass(version, all.gate, { fields })).heard?.fields).toEqual([...bearer("one")]);
      value = "two";
      expect((await pass(version, all.gate, { fields })).heard?.fields).toEqual([...bearer("two")]);
    });

    test("may come late", async () => {
      const vault = vaultOf([usual], { heldFor: () => Promise.resolve([usual]) });
      const all = gateOf([usual], { vault });
      const { heard, saw } = await pass(version, all.gate, { fields, body: ["a", "b"] });
      expect([heard?.fields, heard?.body, saw]).toEqual([[...bearer(VALUE)], "ab", "200"]);
    });

    test("that cannot be had refuse the request, and send no placeholder", async () => {
      const failing = [
        () => Promise.reject(new SbxError("SECRET_UNAVAILABLE", "Cannot read secret API_KEY: no")),
        () => {
          throw new Error("a fault of ours");
        },
      ];
      for (const heldFor of failing) {
        const all = gateOf([usual], { vault: vaultOf([usual], { heldFor }) });
        const { bytes, saw } = await pass(version, all.gate, { fields });
        expect([bytes.includes("Bearer"), saw]).toEqual([false, "502 secret-unavailable"]);
        expect(all.uses).toEqual([]);
        expect((await pass(version, all.gate, { host: "other.test" })).saw).toBe("200");
      }
    });

    test("that come late find the policy of then", async () => {
      let denied = false;
      const vault = vaultOf([usual], {
        heldFor: () => {
          denied = true;
          return Promise.resolve([usual]);
        },
      });
      const judge = () => denied ? { reason: "default" } as const : null;
      const all = gateOf([usual], { vault, judge });
      const { bytes, saw } = await pass(version, all.gate, { fields });
      expect([bytes.includes("Bearer"), saw, all.uses]).toEqual([false, "403 default", []]);
    });

    test("are not asked for where nothing can leave", async () => {
      let asked = 0;
      const vault = vaultOf([usual], {
        heldFor: () => {
          asked++;
          return [usual];
        },
      });
      const closed = gateOf([usual], { vault, session: { ...TRUSTED, open: false } });
      await pass(version, closed.gate, { fields });
      const denied = gateOf([usual], { vault, judge: () => ({ reason: "default" }) });
      await pass(version, denied.gate, { fields });
      const foreign = gateOf([usual], { vault });
      await pass(version, foreign.gate, { host: "other.test" });
      await pass(version, foreign.gate, { fields: bearer("0123456789abcdef0123456789abcdef") });
      expect([asked, closed.uses, denied.uses]).toEqual([0, [], []]);
      await pass(version, foreign.gate, { fields });
      expect(asked).toBe(1);
    });
  });
});
