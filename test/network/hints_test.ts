/**
 * Hints followed with real traffic: what was refused passes in a sandbox started with what the denial
 * said, in front of the options that it had.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { networkUnder, words } from "../judge/attempt.ts";
import { type NamespaceGuest, openNamespaceGuest } from "../support/namespace_guest.ts";
import { PRIVATE, PUBLIC, PUBLIC_2, SHARED } from "../support/places.ts";
import { until } from "../support/process.ts";
import { resolve, say } from "../support/say.ts";
import { openWorld, ROOT, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world?.[Symbol.asyncDispose]());

const REACH = join(ROOT, "test/support/reach.py");
const LAN = PRIVATE[0];
const CLOSED = ["--policy", "none", "--rule", "allow:inbound@127.0.0.9"];

/** Prints what a try comes to. */
type Try = (guest: NamespaceGuest) => Promise<string>;

async function curl(guest: NamespaceGuest, url: string, ...args: string[]): Promise<string> {
  const { stdout } = await guest.run(["curl", "-sS", "-m", "20", ...args, url]);
  return stdout.trim();
}

/** TLS as sbx answers it, to a name that the guest has resolved. */
function opened(name: string, at: string): Try {
  return async (guest) => {
    await resolve(guest, name);
    const args = ["--cacert", guest.authority, "--resolve", `${name}:443:${at}`];
    return await curl(guest, `https://${name}/`, ...args);
  };
}

const reach = (target: string): Try => async (guest) => {
  const { stdout } = await guest.run(["python3", REACH, "3", target]);
  return Object.values(JSON.parse(stdout) as Record<string, string>).join();
};

/** What the journal has of the flow. */
async function fate(guest: NamespaceGuest, destination: string): Promise<string> {
  const lines = () =>
    guest.journal.filter((line) =>
      line["destination"] === destination && /^(opened|denied)$/.test(line.event)
    );
  await until("its line", () => lines().length > 0);
  return lines().map(({ event, tls }) => tls === undefined ? event : `${event} ${tls}`).join();
}

const ROWS: readonly (readonly [
  what: string,
  options: readonly string[],
  attempt: Try,
  hint: string,
  passed: RegExp,
])[] = [
  ["a private address", [], reach(`tcp:${LAN}:80`), `--allow ${LAN}:80`, /^open$/],
  [
    "a public name that points inside",
    [],
    async (guest) => {
      const [address] = await resolve(guest, "private.evil.test");
      if (address === undefined) return "no address";
      return await curl(
        guest,
        `http://private.evil.test/`,
        "--resolve",
        `private.evil.test:80:${address}`,
      );
    },
    `--allow ${LAN}`,
    /^hello from 10\.9\.9\.9:80/,
  ],
  [
    "a name under a policy that denies",
    CLOSED,
    async (guest) => (await resolve(guest, "good.cdn.test")).join(),
    "--allow good.cdn.test",
    /^104\.16\.1\.1$/,
  ],
  [
    "a request of plain HTTP for a name that is denied",
    ["--rule", "deny@bad.cdn.test:tcp"],
    async (guest) => {
      await resolve(guest, "bad.cdn.test");
      return await curl(guest, "http://bad.cdn.test/", "--resolve", `bad.cdn.test:80:${SHARED}`);
    },
    "--allow bad.cdn.test:80",
    /^hello from 104\.16\.1\.1:80 as bad\.cdn\.test/,
  ],
  [
    "a server of an authority of its own",
    ["--tls-intercept"],
    opened("good.cdn.test", SHARED),
    "--upstream-ca FILE",
    /^hello from/,
  ],
  [
    "a server with an expired certificate",
    ["--tls-intercept", "--upstream-ca", "CA"],
    opened("expired.tls.test", PUBLIC_2),
    "--no-verify-upstream=expired.tls.test",
    /^hello from/,
  ],
  [
    "another protocol inside TLS",
    ["--tls-intercept", "--upstream-ca", "CA"],
    async (guest) => {
      await resolve(guest, "good.cdn.test");
      const client =
        `openssl s_client -alpn x-other -servername good.cdn.test -connect ${SHARED}:443`;
      await guest.run(["sh", "-c", `${client} </dev/null >/dev/null 2>&1`]);
      return await fate(guest, `${SHARED}:443`);
    },
    "--tls-bypass good.cdn.test",
    /^opened bypassed$/,
  ],
  [
    "QUIC",
    ["--tls-intercept"],
    async (guest) => {
      await reach(`udp:${PUBLIC}:443`)(guest);
      return await fate(guest, `${PUBLIC}:443`);
    },
    "--no-block-quic",
    /^opened/,
  ],
  [
    "a server that speaks first on an intercepted port",
    ["--tls-intercept", "--policy", "PORTS"],
    async (guest) =>
      (await say(guest, { to: [PUBLIC, 22], text: "SSH-2.0-x\r\n", patience: 15 })).join(),
    "--tls-port 443",
    /^text SSH/,
  ],
];

test.each(ROWS)("%s: the hint holds", async (_what, options, attempt, hint, passed) => {
  const files: Record<string, string> = { CA: world.ca, FILE: world.ca, PORTS: ports() };
  const named = (list: readonly string[]) => list.map((word) => files[word] ?? word);
  const under = async (list: readonly string[]) =>
    await openNamespaceGuest(world, {
      policy: "public-only",
      network: { ...await networkUnder(named(list)) },
    });
  await using before = await under(options);
  const refused = await attempt(before);
  const hinted = () =>
    before.denials.flatMap((line) =>
      /; (--.*?)(?: and no other| with its .*?)? would allow it$/.exec(line)?.[1] ?? []
    );
  await until("the hint", () => hinted().length > 0).catch(() => {});
  expect({ refused, hints: hinted() }).toEqual({ refused, hints: [hint] });
  expect(refused).not.toMatch(passed);
  await using after = await under([...words(hint), ...options]);
  const result = await attempt(after);
  expect({ result, denials: after.denials }).toEqual({
    result: expect.stringMatching(passed),
    denials: [],
  });
}, 120_000);

function ports(): string {
  return join(world.scratch, "ports.yaml");
}

beforeAll(() => {
  writeFileSync(ports(), "extends: public-only\ntls: {intercept: true, ports: [22, 443]}\n");
});
