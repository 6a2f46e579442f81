/**
 * `sbx stats`: what sandboxes use now.
 *
 * @module
 */
import type { Command } from "commander";
import { escapeText } from "../../base/escape.ts";
import { Sandbox, type SandboxMetrics } from "../../mod.ts";
import { examples } from "../command.ts";
import { OK } from "../exit.ts";
import { jsonText } from "../json.ts";
import { table } from "../table.ts";
import { ui } from "../ui.ts";

export function declare(command: Command): void {
  command
    .argument("[sandbox...]", "their names; all that run without one")
    .option("--json", "print one JSON array");
  examples(command, [["sbx stats", "processor time, memory, network"]]);
}

interface Measured {
  readonly name: string;
  readonly metrics: SandboxMetrics;
}

export async function run(command: Command): Promise<number> {
  const { json } = command.opts<{ json?: true }>();
  const names = command.args.length > 0
    ? command.args
    : (await Sandbox.list()).filter(({ status }) => status === "running").map(({ name }) => name);
  const measured = await Promise.all(names.map(measure));
  if (json) ui.out(jsonText(measured.map(({ name, metrics }) => ({ name, ...metrics }))));
  else if (measured.length > 0) ui.out(table([HEAD, ...measured.map(rowOf)]));
  else ui.notice("none runs: see all of them with 'sbx ls -a'");
  return OK;
}

async function measure(name: string): Promise<Measured> {
  await using sandbox = await Sandbox.get(name);
  return { name, metrics: await sandbox.metrics() };
}

const HEAD = ["name", "up", "cpu", "memory here", "memory inside", "to it", "from it", "flows"];

function rowOf({ name, metrics }: Measured): readonly string[] {
  const { uptimeMs, cpuMs, rssBytes, pssBytes, guest, network } = metrics;
  return [
    escapeText(name),
    `${Math.floor(uptimeMs / 1_000)}s`,
    `${(cpuMs / 1_000).toFixed(1)}s`,
    bytesText(pssBytes ?? rssBytes),
    guest === undefined ? "" : bytesText(guest.totalBytes - guest.availableBytes),
    network === undefined ? "" : bytesText(network.toGuestBytes),
    network === undefined ? "" : bytesText(network.fromGuestBytes),
    network === undefined ? "none" : `${network.openFlows} open, ${network.denied} denied`,
  ];
}

const UNITS = ["B", "kB", "MB", "GB", "TB"];

function bytesText(bytes: number): string {
  let value = bytes;
  let unit = 0;
  for (; value >= 1_000 && unit < UNITS.length - 1; unit++) value /= 1_000;
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`;
}
