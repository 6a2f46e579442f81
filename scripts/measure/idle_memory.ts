/**
 * What sandboxes that do nothing hold in memory of this machine, beside what their guests have touched of
 * theirs: sbx, netstack twice, file daemons, and QEMU's own. What processes share counts by halves, thirds and so
 * on (PSS), so that all of it together is what the machine has less.
 *
 * @module
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { descendantsOf } from "../../lib/host/process_usage.ts";
import { DEFAULT_MEMORY_MIB } from "../../lib/sandbox/options.ts";
import { run, type Running, start, until } from "../../test/support/process.ts";
import { SBX } from "../../test/support/world.ts";
import type { Bench, Figure, Round, Series } from "./benchmark.ts";
import { medianOf } from "./rounds.ts";
import { formatTable } from "./table.ts";

const FIGURES: readonly Figure[] = [
  { key: "sbx", title: "sbx", unit: "MiB" },
  { key: "netstack", title: "netstack, as network and watchdog", unit: "MiB" },
  { key: "virtiofsd", title: "file daemons", unit: "MiB" },
  { key: "qemu", title: "QEMU, without the guest's memory", unit: "MiB" },
  { key: "all", title: "all of these", unit: "MiB" },
  { key: "guest", title: "touched of the guest's memory", unit: "MiB" },
];

const AIM_MIB = 90;

/** Until what a start has begun has ended. */
const REST_MS = 5_000;

const MANY = 8;

/** The line of a process's map, and the number, by which regions of memory are told. */
const REGION = /^[0-9a-f]+-[0-9a-f]+ /;

/** In MiB: what is the guest's, which is a region of QEMU's of just its size, and what is not. */
function pssOf(pid: number, part: string): { readonly own: number; readonly guest: number } {
  const ofGuest = part === "qemu" ? DEFAULT_MEMORY_MIB * 1024 : NaN;
  let [own, guest, size] = [0, 0, 0];
  for (const line of readFileSync(`/proc/${pid}/smaps`, "latin1").split("\n")) {
    if (REGION.test(line)) continue;
    const [, name, text] = /^(Size|Pss):\s+(\d+) kB/.exec(line) ?? [];
    if (name === "Size") size = Number(text);
    else if (name === "Pss" && size === ofGuest) guest += Number(text) / 1024;
    else if (name === "Pss") own += Number(text) / 1024;
  }
  return { own, guest };
}

/** Which figure a process counts for. */
function partOf(pid: number): string {
  const name = readFileSync(`/proc/${pid}/comm`, "latin1").trim();
  return ["qemu", "virtiofsd", "netstack"].find((part) => name.startsWith(part)) ?? "sbx";
}

/** Of so many at once, what one holds, all of them alike. */
async function holding(count: number, flags: readonly string[]): Promise<Round> {
  const argv = [SBX, "run", "-q", ...flags, "--", "sh", "-c", "echo here; exec sleep 100000"];
  const all: Running[] = [];
  try {
    for (let at = 0; at < count; at++) {
      const one = start(argv, { limit: 600 });
      all.push(one);
      await until("a guest", () => {
        if (one.child.exitCode !== null) throw new Error(one.stderr());
        return one.stdout() === "here\n";
      }, 300);
    }
    await delay(REST_MS);
    const parts: Record<string, number> = { all: 0, guest: 0 };
    for (const { pid } of all) {
      for (const each of [pid, ...descendantsOf(pid)]) {
        const part = partOf(each);
        const { own, guest } = pssOf(each, part);
        parts[part] = (parts[part] ?? 0) + own / count;
        parts["all"] = (parts["all"] ?? 0) + own / count;
        parts["guest"] = (parts["guest"] ?? 0) + guest / count;
      }
    }
    return parts;
  } finally {
    for (const one of all) one.kill("SIGTERM");
    await Promise.allSettled(all.map(({ ended }) => ended));
  }
}

/** Prints what sandboxes hold that are booted, that go on from a template, and that have a directory. */
export async function measureIdle(bench: Bench): Promise<void> {
  await run([SBX, "template", "build", "--quiet"], { limit: 300 });
  const directory = mkdtempSync(`${tmpdir()}/sbx-bench-`);
  const kinds: readonly [name: string, count: number, flags: readonly string[]][] = [
    ["booted", 1, ["--no-template"]],
    ["from a template", 1, []],
    ["with a mount", 1, ["-v", `${directory}:/mnt`]],
    [`of ${MANY}`, MANY, []],
  ];
  try {
    const series: Series[] = [];
    for (const [name, count, flags] of kinds) {
      bench.note(`idle: ${name}`);
      series.push({ name, rounds: [await holding(count, flags)] });
    }
    bench.print(
      formatTable({
        title: "memory of an idle sandbox, shared parts shared out",
        figures: FIGURES,
        series,
      }),
    );
    bench.print(
      series.map((one) => {
        const all = medianOf(one, "all");
        const met = all <= AIM_MIB ? "met" : "missed";
        return `${one.name}: ${all.toFixed(0)} MiB, at most ${AIM_MIB}: ${met}\n`;
      }).join(""),
    );
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
