/**
 * SBX_TRACE on a guest that has something to hide: the states of its flows, questions and calls in order,
 * and nothing of what it says.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { openWorld, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world?.[Symbol.asyncDispose]());

const SECRET = "xyzzy";

/** In the guest: one request, with the word in its path, a field and its body, which come back as an echo. */
const REQUEST = [
  "python3",
  "-c",
  `
import os, urllib.request
word = os.environ["WORD"]
request = urllib.request.Request("http://api.allowed.test/" + word, word.encode(), {"X-Word": word})
print(urllib.request.urlopen(request, timeout=30).status)`,
];

const traced = (parts: string, ...options: readonly string[]) =>
  world.sbx(
    ["run", "-q", "-e", `WORD=${SECRET}`, "--policy", "none", ...options, "--", ...REQUEST],
    { env: { SBX_TRACE: parts } },
  );

/** The lines of one part, as "id from → to (event)". */
const of = (part: string, stderr: string) =>
  stderr.split("\n").filter((line) => line.startsWith(`sbx: trace ${part} `))
    .map((line) => line.slice(`sbx: trace ${part} `.length));

test(
  "a traced run tells the states of each flow, question and call in order, and no word of theirs",
  async () => {
    const { status, stdout, stderr } = await traced(
      "all",
      "--allow",
      "api.allowed.test",
    );
    expect({ status, stdout }).toEqual({ status: 0, stdout: "200\n" });
    const flows = of("flow", stderr);
    const relayed = flows.find((line) => line.endsWith("redirected → served (handed)"))?.split(
      " ",
    )[0];
    expect(flows.filter((line) => line.startsWith(`${relayed} `)).slice(0, 6)).toEqual([
      `${relayed} new → asked (asked)`,
      `${relayed} asked → inspected (inspect)`,
      `${relayed} inspected → asked (first)`,
      `${relayed} asked → redirected (redirect)`,
      `${relayed} redirected → served (handed)`,
      `${relayed} served → served (dialled)`,
    ]);
    expect(of("http", stderr).map((line) => line.split(" ")[0])).toContain(relayed);
    const questions = of("dns", stderr);
    expect(questions.slice(0, 2)).toEqual([
      "1 new → asked (udp)",
      "1 asked → allowed (rule)",
    ]);
    expect(questions).toContain("1 allowed → forwarded (miss)");
    expect(questions).toContain("1 forwarded → answered (rcode 0)");
    const calls = of("agent", stderr);
    expect(calls[0]).toBe("port new → up (opened)");
    const command = calls.find((line) => line.endsWith("new → open (exec)"))?.split(" ")[0];
    expect(calls).toContain(`${command} open → over (ok)`);
    expect(stderr).not.toContain(SECRET);
    expect(stderr).not.toContain("api.allowed.test");
  },
  120_000,
);

test(
  "netstack's own states are told with those of sbx, and nothing of what the flow is",
  async () => {
    const { stderr } = await traced("flow", "--allow", "api.allowed.test");
    const lines = of("netstack", stderr);
    const steps = lines.map((line) => /^\d+ \w+ → (\w+) \([a-z-]+\)$/.exec(line)?.[1]);
    expect(steps).not.toContain(undefined);
    expect(steps).toEqual(expect.arrayContaining(["asked", "closed"]));
    expect(stderr).not.toContain(SECRET);
  },
  120_000,
);

test(
  "a run traces what was asked for and nothing else, and none without the variable",
  async () => {
    const { stderr } = await traced("dns", "--allow", "api.allowed.test");
    expect(of("dns", stderr).length).toBeGreaterThan(0);
    expect([of("flow", stderr), of("agent", stderr)]).toEqual([[], []]);
    const { stderr: silent } = await traced("", "--allow", "api.allowed.test");
    expect(silent).toBe("");
  },
  120_000,
);

test("a refused flow is traced to its refusal", async () => {
  const { status, stderr } = await traced("all", "--allow", "other.allowed.test");
  expect(status).toBe(1);
  expect(of("dns", stderr)).toContain("1 asked → denied (default)");
  expect(of("flow", stderr)).toContain("1 asked → resolver (resolve)");
  expect(stderr).not.toContain(SECRET);
}, 120_000);
