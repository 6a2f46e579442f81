/**
 * Programs without types: what a call does not know, or what is of another kind than it takes, is refused, and
 * what is meant is named. Nothing is taken for a setting that was left out.
 */
import { expect, test } from "bun:test";
import { NetworkBuilder } from "../../lib/api/network_builder.ts";
import { SecretBuilder } from "../../lib/api/secret_builder.ts";
import {
  CertificateAuthority,
  Destination,
  NetworkPolicy,
  readJournal,
  Rule,
  Sandbox,
  SbxError,
  SecretStore,
} from "../../lib/mod.ts";

const network = new NetworkBuilder();
const builder = Sandbox.builder();
const publication = { hostPort: 1, guestPort: 2, protocol: "tcp" as const };
const rule = Rule.allowOutbound(Destination.any());

/** As a program in JavaScript calls it. */
// deno-lint-ignore no-explicit-any
const untyped = (value: unknown): any => value;

type Refused = readonly [call: () => unknown, state: string | RegExp, hint?: string];

async function refusalOf(call: () => unknown): Promise<SbxError> {
  try {
    await call();
  } catch (error) {
    if (error instanceof SbxError) return error;
    throw error;
  }
  throw new Error(`it was not refused: ${call}`);
}

async function expectRefused(rows: readonly Refused[]): Promise<void> {
  for (const [call, state, hint] of rows) {
    const error = await refusalOf(call);
    expect([call.toString(), error.message]).toEqual([
      call.toString(),
      typeof state === "string" ? expect.stringContaining(state) : expect.stringMatching(state),
    ]);
    if (hint !== undefined) expect([call.toString(), error.hint]).toEqual([call.toString(), hint]);
  }
}

test("an option that there is not is refused by name, with the one that is meant", async () => {
  await expectRefused([
    [
      () => builder.mount(".", "/w", untyped({ readonly: true })),
      '"readonly"',
      "did you mean readOnly?",
    ],
    [() => builder.mount(".", "/w", untyped({ ro: true })), '"ro"', "did you mean readOnly?"],
    [() => builder.journal("x", untyped({ cmd: "a" })), '"cmd"', "its options are command"],
    [
      () => builder.create(untyped({ timeout: 5 })),
      '"timeout"',
      "its options are signal",
    ],
    [
      () => network.publish({ ...publication, ...untyped({ port: 80 }) }),
      '"port"',
      "did you mean guestPort?",
    ],
    [
      () => Rule.allowOutbound(Destination.any(), untyped({ port: 1 })),
      '"port"',
      "did you mean ports?",
    ],
    [
      () => Rule.denyInbound(Destination.any(), untyped({ protocol: "tcp" })),
      '"protocol"',
      "did you mean protocols?",
    ],
    [
      () => NetworkPolicy.custom(untyped({ default: "deny" })),
      '"default"',
      "did you mean defaults?",
    ],
    [
      () => NetworkPolicy.custom({ defaults: untyped({ egress: "deny" }) }),
      '"egress"',
      "its options are outbound, inbound",
    ],
    [() => readJournal("x", untyped({ tail: true })).next(), '"tail"', "did you mean follow?"],
    [
      () => CertificateAuthority.init(untyped({ overwrite: true })),
      '"overwrite"',
      "did you mean force?",
    ],
    [
      () => CertificateAuthority.rotate(untyped({ force: true })),
      '"force"',
      "its options are name, days, signal",
    ],
    [
      () => SecretStore.set("a", "b", untyped({ keptin: "file" })),
      '"keptin"',
      "did you mean keptIn?",
    ],
    [
      () => new SecretBuilder().aws(untyped({ region: ["x"] })),
      '"region"',
      "did you mean regions?",
    ],
    [() => builder.mount(".", "/w", untyped("ro")), "a text stands where options are expected"],
    [() => builder.mount(".", "/w", untyped(null)), "null stands where options are expected"],
  ]);
});

test("what is neither true nor false is no switch", async () => {
  const no = untyped("false");
  await expectRefused([
    [
      () => network.dnsRebindProtection(untyped(undefined)),
      "dnsRebindProtection(…): nothing stands",
    ],
    [() => network.blockDoh(no), "blockDoh(…): a text stands where true or false is expected"],
    [() => network.trustHostCas(no), "trustHostCas"],
    [() => network.tls((t) => t.intercept(no)), "intercept"],
    [() => network.tls((t) => t.blockQuic(untyped(undefined))), "blockQuic"],
    [() => network.tls((t) => t.verifyUpstream(no)), "verifyUpstream"],
    [() => network.tls((t) => t.opaque(no)), "opaque"],
    [() => new SecretBuilder().exclusive(untyped(undefined)), "exclusive"],
    [() => new SecretBuilder().mask(untyped(0)), "mask(…): a number stands"],
    [() => builder.mount(".", "/w", { readOnly: untyped("no") }), "true or false"],
    [() => builder.mount(".", "/w", { as: untyped("ro") }), 'neither "cached" nor "copy"'],
    [() => builder.mount(".", "/w", { readOnly: true, as: "copy" }), "both readOnly and a copy"],
    [() => CertificateAuthority.init({ force: untyped("no") }), "true or false"],
    [() => builder.template(no), "template(…): a text stands where true or false is expected"],
  ]);
});

test("what is no text, no function or no builder is not taken for one that was left out", async () => {
  await expectRefused([
    [() => builder.name(untyped(5)), "name(…): a number stands where a text is expected"],
    [() => builder.hostname(untyped(null)), "hostname(…): null"],
    [() => builder.user(untyped(1000)), "user(…): a number"],
    [() => builder.mount(untyped(undefined), "/w"), "mount(…): nothing"],
    [() => builder.env("A", untyped(1)), 'env("A"): a number'],
    [() => builder.workdir(untyped(["/"])), "workdir(…): a list"],
    [() => builder.timeout(untyped("5s")), "not a number of milliseconds"],
    [() => builder.timeout(NaN), "not a number of milliseconds"],
    [() => builder.journal(untyped(undefined)), "journal(…): nothing"],
    [() => builder.inputs(untyped(undefined)), "inputs(…): nothing"],
    [
      () => builder.onDenial(untyped("log")),
      "onDenial(…): a text stands where a function is expected",
    ],
    [() => builder.onNotice(untyped({})), "onNotice(…): an object"],
    [() => builder.secret(untyped(undefined)), "secret(…): nothing"],
    [() => network.blockList(untyped(undefined)), "blockList(…): nothing"],
    [
      () => network.tls((t) => t.interceptCaCert(untyped(undefined))),
      "interceptCaCert(…): nothing",
    ],
    [() => network.tls((t) => t.upstreamCaCert(untyped(undefined))), "upstreamCaCert(…): nothing"],
    [() => new SecretBuilder().file(untyped(undefined)), "file(…): nothing"],
    [() => builder.network(untyped(() => {})), "network(…): the function gives no builder back"],
    [() => builder.network(untyped(network)), "network(…): an object stands where a function"],
    [() => network.tls(untyped(() => {})), "tls(…): the function gives no builder back"],
    [() => network.secret("A", untyped(() => {})), "secret(…): the function gives no builder back"],
    [() => SecretStore.set("a", "b", { keptIn: untyped("vault") }), "neither keychain nor file"],
  ]);
});

test("a preset has one of three names", async () => {
  const hint = "the presets are allow-all, none, public-only";
  await expectRefused([
    [
      () => NetworkPolicy.preset("publiconly"),
      'NetworkPolicy.preset("publiconly"): there is no preset',
      hint,
    ],
    [() => NetworkPolicy.preset("constructor"), "there is no preset", hint],
    [
      () => NetworkPolicy.preset(untyped(undefined)),
      "NetworkPolicy.preset(…): there is no preset",
      hint,
    ],
    [
      () => network.policy(untyped("public-only")),
      "policy(…): a text is no policy",
      'write policy(NetworkPolicy.preset("public-only"))',
    ],
    [
      () => network.policy(untyped(NetworkPolicy.parse("default: deny", "x"))),
      "a promise is no policy",
    ],
    [() => network.policy(untyped(undefined)), "nothing is no policy"],
  ]);
  for (const name of NetworkPolicy.presetNames) {
    expect(network.policy(NetworkPolicy.preset(name)).build().policy.rules).toEqual(
      NetworkPolicy.preset(name).rules,
    );
  }
});

test("a rule or policy that was made by hand has the words that rules have", async () => {
  const custom = (...rules: unknown[]) => () => NetworkPolicy.custom({ rules: untyped(rules) });
  await expectRefused([
    [custom("allow@example.com"), "a text is no rule"],
    [custom({ ...rule, action: "alow" }), 'unknown action "alow"', "use one of allow, deny"],
    [custom({ ...rule, direction: "out" }), 'unknown direction "out"'],
    [custom({ ...rule, protocols: ["http"] }), 'unknown protocol "http"'],
    [custom({ ...rule, ports: [{ from: 9, to: 1 }] }), "the range 9-1 is empty"],
    [custom({ ...rule, ports: undefined }), "no list of protocols or none of ports"],
    [custom({ ...rule, destination: undefined }), "no destination"],
    [
      custom({ ...rule, destination: { kind: "group", group: "privat" } }),
      'unknown group "privat"',
    ],
    [custom({ ...rule, destination: { kind: "domain", name: "A.example" } }), "not in the form"],
    [custom({ ...rule, destination: { kind: "suffix", suffix: ".a.example" } }), "not in the form"],
    [custom({ ...rule, destination: { kind: "cidr", cidr: "10.0.0.1" } }), "not in the form"],
    [custom({ ...rule, destination: { kind: "domain" } }), "not in the form"],
    [() => NetworkPolicy.custom({ rules: untyped("allow@any") }), "a text is no list of rules"],
    [() => NetworkPolicy.custom({ defaults: untyped("alow") }), 'unknown default "alow"'],
    [
      () => NetworkPolicy.custom({ defaults: { inbound: untyped(true) } }),
      "unknown default a boolean",
    ],
    [() => NetworkPolicy.custom({ denyWith: untyped("ignore") }), 'unknown denyWith "ignore"'],
    [() => network.rule(untyped({ ...rule, action: "alow" })), 'rule(…): unknown action "alow"'],
    [() => network.policy(untyped({ rules: [] })), "whether there is a network"],
    [
      () => network.policy({ ...NetworkPolicy.none(), defaults: untyped(undefined) }),
      "unknown default nothing",
    ],
  ]);
  for (const name of NetworkPolicy.presetNames) {
    const { rules } = NetworkPolicy.preset(name);
    expect(NetworkPolicy.custom({ rules }).rules).toEqual(rules);
  }
});
