/**
 * The files of this machine, as the real agent has them for a sandbox.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import type { Agent } from "../../../lib/guest/agent/client.ts";
import { GuestFiles } from "../../../lib/sandbox/guest_files.ts";
import { Lifetime } from "../../../lib/sandbox/lifetime.ts";
import type { Agents, StartedAgent } from "../../guest/agent_process.ts";

/** An agent that is root, as a guest's is, though only of its own namespace where we are nobody. */
export function startRoot(agents: Agents): StartedAgent {
  return isRoot ? agents.start() : agents.startIn("true");
}

/** Elsewhere nobody may give files away. */
export const isRoot: boolean = process.getuid?.() === 0;

/** A sandbox's files, and its life, which ends with the agent. */
export function filesOf(agent: Agent, user?: string) {
  const lifetime = new Lifetime();
  void agent.lost.then((error) => lifetime.end(error));
  const guest = agent;
  return {
    fs: new GuestFiles({ guest, lifetime, ...(user === undefined ? {} : { user }) }),
    lifetime,
  };
}

/** All that a copy has to keep, a line for each file. */
export function everything(root: string): string[] {
  const lines: string[] = [];
  const visit = (path: Buffer) => {
    const at = Buffer.concat([Buffer.from(root), path]);
    const info = lstatSync(at, { bigint: true });
    const facts = `${path.toString("latin1")} ${info.mode.toString(8)} ${info.mtimeNs}`;
    if (info.isSymbolicLink()) {
      const target = readlinkSync(at, { encoding: "buffer" }).toString("latin1");
      lines.push(`${facts} → ${target}`);
      return;
    }
    if (info.isFile()) {
      const content = info.size > 1_000_000n
        ? `${info.size} bytes`
        : readFileSync(at).toString("hex");
      lines.push(`${facts} ${info.nlink} ${content}`);
      return;
    }
    lines.push(facts);
    if (!info.isDirectory()) return;
    for (const name of readdirSync(at, { encoding: "buffer" }).sort(Buffer.compare)) {
      visit(Buffer.concat([path, Buffer.from("/"), name]));
    }
  };
  visit(Buffer.alloc(0));
  return lines;
}

/** The names in a directory. */
export function namesIn(...path: string[]): string[] {
  return existsSync(join(...path)) ? readdirSync(join(...path)).sort() : [];
}
