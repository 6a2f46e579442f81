/** Tokens that came while a sandbox runs, and what its guest has of them. */
import { expect, test } from "bun:test";
import { withTokens } from "../../lib/secret/minted.ts";
import type { Draw } from "../../lib/secret/placeholder.ts";
import { Tripwire } from "../../lib/secret/tripwire.ts";
import type { HeldSecret } from "../../lib/secret/grant.ts";
import type { TokenMint, Vault } from "../../lib/secret/vault.ts";
import { isHostOf, type Secret } from "../../lib/policy/model/secret.ts";
import { random } from "../support/random.ts";
import { API, held } from "./held.ts";

const AUTH = "auth.allowed.test";
const APP = held("client-secret-1", {
  name: "APP",
  hosts: [API, AUTH],
  pathPrefix: "/token",
  places: new Set(["body"]),
  tokens: { hosts: [AUTH], paths: ["/token"] },
});

const { below } = random(83);
const draw: Draw = (count) => Uint8Array.from({ length: count }, () => below(256));

function open(all: readonly HeldSecret[] = [APP], late = false): Vault & { tokens: TokenMint } {
  const of = (host: string) => all.filter(({ secret }) => isHostOf(secret, host));
  const byHost = new Map([API, AUTH].map((host) => [host, of(host)]));
  const vault = withTokens({
    kept: all,
    onViolation: "block",
    tripwire: new Tripwire(all.map(({ secret: { name }, placeholder }) => ({ name, placeholder }))),
    heldFor: (host) => late ? Promise.resolve(byHost.get(host) ?? []) : byHost.get(host) ?? [],
    known: (host) => byHost.get(host) ?? [],
    permit: () => {},
  }, draw);
  if (vault.tokens === undefined) throw new TypeError("no mint");
  return Object.assign(vault, { tokens: vault.tokens });
}

const names = (all: readonly { readonly secret: Pick<Secret, "name"> }[]) =>
  all.map(({ secret: { name } }) => name);

test("a token is a secret of the same hosts, and its placeholder trips", async () => {
  const vault = open();
  const before = vault.tripwire;
  const placeholder = vault.tokens.mint(APP.secret, "access_token", "ya29.token");
  expect(placeholder).toMatch(/^sbx-placeholder-[a-z2-7]{26}$/);
  expect(names(vault.kept)).toEqual(["APP", "APP.access_token"]);
  for (const all of [await vault.heldFor(API), vault.known(AUTH)]) {
    expect(names(all)).toEqual(["APP", "APP.access_token"]);
    expect(all[1]).toMatchObject({
      secret: { methods: [], pathPrefix: null, exclusive: true, mask: true },
      placeholder: { text: placeholder },
    });
    expect([...all[1]?.secret.places ?? []].sort()).toEqual(["basic", "body", "header"]);
    expect(all[1]?.value.reveal()).toBe("ya29.token");
  }
  expect(vault.known("evil.test")).toEqual([]);
  expect(before.scan(`x ${placeholder}`)).toMatchObject([{ name: "APP.access_token" }]);
  expect(before.scan(`x ${APP.placeholder.text}`)).toMatchObject([{ name: "APP" }]);
  expect(JSON.stringify(vault)).not.toContain("ya29");
});

test("what only the endpoint takes goes nowhere else", () => {
  const vault = open();
  vault.tokens.mint(APP.secret, "refresh_token", "r-token");
  vault.tokens.mint(APP.secret, "device_code", "d-token");
  expect(names(vault.known(API))).toEqual(["APP"]);
  expect(names(vault.known(AUTH))).toEqual(["APP", "APP.refresh_token", "APP.device_code"]);
  expect(vault.known(AUTH)[1]?.secret).toMatchObject({
    places: new Set(["body"]),
    methods: ["POST"],
    pathPrefix: "/token",
  });
});

test("the same token has the same placeholder, and the latest few of each kind are kept", () => {
  const vault = open();
  const mint = (token: string) => vault.tokens.mint(APP.secret, "access_token", token);
  const refresh = vault.tokens.mint(APP.secret, "refresh_token", "r");
  const first = mint("token-0");
  const second = mint("token-1");
  for (let n = 2; n < 17; n++) {
    mint(`token-${n}`);
    expect(mint("token-0")).toBe(first); // which is in use
  }
  const texts = vault.known(AUTH).map(({ placeholder: { text } }) => text);
  expect(texts).toHaveLength(18);
  expect([first, refresh, second].map((one) => texts.includes(one))).toEqual([true, true, false]);
  expect(vault.tripwire.scan(second)).toEqual([]);
  expect(mint("token-1")).not.toBe(second);
});

test("long tokens are kept as far as there is room, and the latest always", () => {
  const vault = open();
  const sizes = () => vault.known(API).slice(1).map(({ value }) => value.reveal().length);
  for (const size of [3_000, 4_000, 5_000, 16_300, 400]) {
    vault.tokens.mint(APP.secret, "access_token", "x".repeat(size - 1) + vault.kept.length);
  }
  expect(sizes()).toEqual([400]);
  for (const size of [3_000, 4_000, 5_000, 4_000, 300]) {
    vault.tokens.mint(APP.secret, "access_token", "z".repeat(size - 1) + vault.kept.length);
  }
  expect(sizes()).toEqual([3_000, 4_000, 5_000, 4_000, 300]);
  vault.tokens.mint(APP.secret, "access_token", "y".repeat(16_384));
  expect(sizes()).toEqual([16_384]);
});

test("answers are the same ones while nothing changes, at once where the vault's are", async () => {
  for (const late of [false, true]) {
    const vault = open([APP], late);
    vault.tokens.mint(APP.secret, "access_token", "token-0");
    const one = vault.heldFor(API);
    expect(one instanceof Promise).toBe(late);
    expect(await vault.heldFor(API)).toBe(await one);
    vault.tokens.mint(APP.secret, "access_token", "token-0");
    expect(await vault.heldFor(API)).toBe(await one);
    vault.tokens.mint(APP.secret, "access_token", "token-1");
    expect(await vault.heldFor(API)).not.toBe(await one);
  }
});

test("a signed token keeps its claims and loses its signature", () => {
  const vault = open();
  const claims = `${btoa('{"alg":"RS256"}')}.${btoa('{"exp":1,"sub":"me"}')}.`.replaceAll("=", "");
  const mint = (token: string) => vault.tokens.mint(APP.secret, "id_token", token);
  expect(mint(`${claims}${"s".repeat(43)}`)).toMatch(
    new RegExp(`^${RegExp.escape(claims)}sbx-placeholder-[a-z2-7]{26}$`),
  );
  for (const odd of [claims, `${claims}short`, `${claims}${"s".repeat(43)}.x`, "eyJ.eyJ.x"]) {
    expect(mint(odd)).toMatch(/^sbx-placeholder-[a-z2-7]{26}$/);
  }
});

test("tokens of a secret that is taken back go nowhere, and are looked for in answers", async () => {
  const vault = open();
  vault.tokens.mint(APP.secret, "access_token", "token-of-the-app");
  expect(names(await vault.heldFor(API))).toEqual(["APP", "APP.access_token"]);
  vault.permit(new Set(["OTHER"]));
  expect(names(await vault.heldFor(API))).not.toContain("APP.access_token");
  expect(names(vault.known(API))).toEqual(["APP", "APP.access_token"]);
  vault.permit(new Set(["APP"]));
  expect(names(await vault.heldFor(API))).toEqual(["APP", "APP.access_token"]);
});

test("a vault without an endpoint stays as it is, and no text is kept that is no value", () => {
  const plain: Vault = {
    kept: [held("other-value")],
    onViolation: "block",
    tripwire: new Tripwire([]),
    heldFor: () => [],
    known: () => [],
    permit: () => {},
  };
  expect(withTokens(plain, draw)).toBe(plain);
  const vault = open();
  for (const text of ["", "a\nb", " a", "x".repeat(20_000)]) {
    expect(() => vault.tokens.mint(APP.secret, "token", text)).toThrow(
      "Cannot use secret APP.token",
    );
  }
  expect(names(vault.kept)).toEqual(["APP"]);
});
