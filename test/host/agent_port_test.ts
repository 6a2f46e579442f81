/** The way to the agent of a guest of Lima's, where the guest does nothing for it. */
import { expect, test } from "bun:test";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openAgentPort } from "../../lib/host/lima/agent_port.ts";

test(
  "a guest that takes the connection and says nothing is waited for no longer than it was given",
  async () => {
    const dir = mkdtempSync(join(tmpdir(), "sbx-agent-port-"));
    try {
      writeFileSync(
        join(dir, "ssh.config"),
        "Host lima-dev\n  ProxyCommand sh -c 'cat >/dev/null; true'\n",
      );
      const port = openAgentPort({
        instance: { dir, name: "dev" },
        program: new Uint8Array(1),
        patienceMs: 300,
      });
      const [error] = await once(port, "error").catch((error) => [error]);
      expect(error).toMatchObject({ code: "GUEST_FAILED" });
      expect(error.message).toStartWith("Cannot reach the guest by SSH");
    } finally {
      rmSync(dir, { recursive: true });
    }
  },
  8_000,
);
