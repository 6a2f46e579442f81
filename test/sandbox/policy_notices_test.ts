import { expect, test } from "bun:test";
import { NetworkBuilder } from "../../lib/api/network_builder.ts";
import { NetworkPolicy } from "../../lib/mod.ts";
import { policyNotices } from "../../lib/sandbox/policy_notices.ts";

const published = new NetworkBuilder()
  .publish({ hostPort: 8080, guestPort: 80, protocol: "tcp" });
const closed = { ...NetworkPolicy.publicOnly(), defaults: { outbound: "allow", inbound: "deny" } };

test.each<[string, NetworkBuilder, string | undefined]>([
  ["an open policy", published, undefined],
  ["a policy that denies inbound flows", published.policy(closed as never), "no rule allows"],
  [
    "a rule that denies the guest's port",
    published.rule("deny:inbound@any:tcp:1-100"),
    "rule 0, deny:inbound@any:tcp:1-100, denies them",
  ],
  ["a rule about the host's port", published.rule("deny:inbound@any:tcp:8080"), undefined],
  [
    "an exception before it",
    published.rule("allow:inbound@loopback").rule("deny:inbound@any"),
    undefined,
  ],
  [
    "nothing published",
    new NetworkBuilder().policy(closed as never),
    undefined,
  ],
])(
  "under %s, a published port is warned about only if it refuses this machine",
  (_, builder, why) => {
    const notices = policyNotices(builder.build()).filter((line) => line.includes("published"));
    if (why === undefined) return expect(notices).toEqual([]);
    expect(notices).toEqual([
      expect.stringMatching(/^published port 8080 will refuse connections from this machine: /),
    ]);
    expect(notices[0]).toContain(why);
    expect(notices[0]).toEndWith("--rule allow:inbound@loopback:tcp:80 would allow them");
  },
);

test("ports that follow one another are warned about in one line", () => {
  const ports = (publications: readonly (readonly [number, number])[]) => {
    const builder = publications.reduce(
      (network, [hostPort, guestPort]) => network.publish({ hostPort, guestPort, protocol: "tcp" }),
      new NetworkBuilder().policy(closed as never),
    );
    return policyNotices(builder.build()).map((line) => line.replace(/ will .*@loopback/, ""));
  };
  expect(ports([[1, 11], [2, 12], [4, 14]])).toEqual([
    "published ports 1-2:tcp:11-12 would allow them",
    "published port 4:tcp:14 would allow them",
  ]);
  expect(ports([[0, 11], [0, 12]])).toEqual([
    "published ports of 11-12:tcp:11-12 would allow them",
  ]);
});

test("the option that the warning names silences it", () => {
  const rule = "allow:inbound@loopback:tcp:80";
  const builder = published.policy(closed as never).rule(rule);
  expect(policyNotices(builder.build())).toEqual([]);
});
