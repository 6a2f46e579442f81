/** A secret of a sandbox that runs, taken back and given back by the policies that are applied to it. */
import { expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { openWorld, ROOT } from "../support/world.ts";

const HOST = "api.github.com";
const VALUE = `ghp_${randomBytes(20).toString("hex")}`;

test("sbx policy apply takes a secret back at once, says so, and gives it back", async () => {
  await using world = await openWorld({
    members: { [HOST]: { field: "authorization", value: `Bearer ${VALUE}` } },
  });
  const env = {
    GITHUB_TOKEN: VALUE,
    XDG_STATE_HOME: join(world.scratch, "state"),
    XDG_CACHE_HOME: join(ROOT, ".cache/test"),
  };
  const sbx = (argv: readonly string[]) => world.sbx(argv, { env, limit: 240 });
  const policy = (name: string, ...more: readonly string[]) => {
    const path = join(world.scratch, name);
    const trust = ["tls:", "  intercept: false", `  upstreamCa: [${world.ca}]`];
    const lines = ["default: deny", "rules:", `  - allow@${HOST}:tcp:443`, ...trust, ...more, ""];
    writeFileSync(path, lines.join("\n"));
    return path;
  };
  const own = policy("own.yaml", "secrets:", `  - GITHUB_TOKEN@${HOST}`);
  const bare = policy("bare.yaml");
  try {
    const forever = ["--", "sleep", "100000"];
    const run = await sbx(["run", "-d", "-q", "-n", "dev", "--policy", own, ...forever]);
    expect(run).toMatchObject({ status: 0, stdout: "dev\n" });
    const ask = async () => {
      const command = `curl -sS -o /dev/null -w "%{http_code}" -H "Authorization: Bearer ` +
        `$GITHUB_TOKEN" https://${HOST}/whoami`;
      return (await sbx(["exec", "dev", "--", "sh", "-c", command])).stdout;
    };
    expect(await ask()).toBe("200");
    const taken = await sbx(["policy", "apply", "dev", bare]);
    expect(taken.status).toBe(0);
    expect(taken.stdout + taken.stderr).toContain("~ secrets.GITHUB_TOKEN");
    expect(taken.stdout + taken.stderr).toContain("secret GITHUB_TOKEN is taken back");
    expect(await ask()).toBe("401");
    const other = policy("other.yaml", "secrets:", `  - GITHUB_TOKEN@${HOST},example.com`);
    const refused = await sbx(["policy", "apply", "dev", other]);
    expect(refused.status).not.toBe(0);
    expect(refused.stderr).toContain("can only be taken back");
    expect(await sbx(["policy", "apply", "dev", own])).toMatchObject({ status: 0 });
    expect(await ask()).toBe("200");
    const { letters } = await world.internet.report();
    const [, inert] = letters.map(({ fields }) => fields.authorization?.[0]);
    expect(inert).toMatch(/^Bearer sbx-placeholder-/);
    expect(letters.map(({ status }) => status)).toEqual([200, 401, 200]);
  } finally {
    await sbx(["rm", "--force", "dev"]);
  }
}, 600_000);
