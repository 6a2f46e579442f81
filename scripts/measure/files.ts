/**
 * Small files where a guest can have them: in a directory of this machine by each way that there is, in its memory,
 * on its disk; and on this machine itself.
 *
 * @module
 */
import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { lookForFileDaemon } from "../../lib/guest/qemu/file_daemon.ts";
import { SBX } from "../../test/support/world.ts";
import type { Aim, Benchmark, Figure, Round, Subject } from "./benchmark.ts";
import { interleave } from "./rounds.ts";
import { formatTable } from "./table.ts";
import { writeTree } from "./tree.ts";

const SECONDS = { unit: "s", digits: 2 } as const;

const FIGURES: readonly Figure[] = [
  { key: "given", title: "read what was there before", ...SECONDS },
  { key: "unpack", title: "unpack", ...SECONDS },
  { key: "read", title: "read", ...SECONDS },
  { key: "again", title: "read again", ...SECONDS },
  { key: "stat", title: "stat", ...SECONDS },
  { key: "status", title: "git status", ...SECONDS },
  { key: "install", title: "npm ci of 600", ...SECONDS },
];

const OWN_STEPS = FIGURES.filter(({ key }) => key !== "given");

const AIMS: readonly Aim[] = [
  ...FIGURES.map(({ key }): Aim => ({
    figure: key,
    of: "virtiofs",
    against: "before",
    atMost: 0.25,
  })),
  ...OWN_STEPS.map(({ key }): Aim => ({
    figure: key,
    of: ":copy",
    against: "memory",
    atMost: 1.5,
  })),
];

/** Steps of a guest that hang; the slowest take a few minutes. */
const LIMIT_MS = 1_200_000;

/** Seconds of each step, from when its lines were written. */
export class Steps {
  readonly #round: Record<string, number> = {};
  #began = NaN;
  #rest = "";

  /** More of what the steps print, as it comes; `now` in milliseconds. */
  take(text: string, now: number): void {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line === "begins") this.#began = now;
      else this.#round[line] = (now - this.#began) / 1_000;
    }
  }

  /** Of a step that was there. @throws Error when one of these did not come to its end */
  round(steps: readonly Figure[]): Round {
    const missing = steps.filter(({ key }) => this.#round[key] === undefined);
    if (missing.length === 0) return this.#round;
    throw new Error(`it came to no end: ${missing.map(({ title }) => title).join(", ")}`);
  }
}

const SCRIPT = join(import.meta.dirname ?? ".", "files_steps.sh");

function timed([command = "", ...argv]: readonly string[], figures: readonly Figure[]) {
  const steps = new Steps();
  const child = spawn(command, argv, {
    stdio: ["ignore", "pipe", "pipe"],
    timeout: LIMIT_MS,
    killSignal: "SIGKILL",
  });
  let said = "";
  child.stdout.setEncoding("utf8");
  child.stdout.on("data", (text: string) => steps.take(text, performance.now()));
  child.stderr.on("data", (bytes) => said = `${said}${bytes}`.slice(-500));
  return new Promise<Round>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (status) => {
      if (status !== 0) reject(new Error(`it ended with ${status}: ${said.trim()}`));
      else resolve(steps.round(figures));
    });
  });
}

/** In front of what a measurement must not leave behind, however it is interrupted. */
const MORTAL = ["setpriv", "--pdeathsig", "KILL"];

interface Place {
  readonly name: string;
  /** Of the mount. Absent: there is none. */
  readonly mode?: string;
  readonly flags?: readonly string[];
  /** What the file system is, where it could be another than is meant. */
  readonly kind?: string;
  /** What sbx is started by. */
  readonly by?: readonly string[];
  readonly sbx?: string;
}

function placesOf(against: string | undefined): Place[] {
  const daemon = lookForFileDaemon();
  const space = ["unshare", process.getuid?.() === 0 ? "-m" : "-Urm", "sh", "-c"];
  const hide = "path" in daemon
    ? [...space, `mount --bind /dev/null '${daemon.path}' && exec "$@"`, "sh"]
    : [];
  const ours = { sbx: SBX, flags: ["--no-template"] };
  return [
    { name: "virtiofs", mode: "", kind: "virtiofs", ...ours },
    { name: ":cached", mode: ":cached", ...ours },
    { name: ":copy", mode: ":copy", kind: "overlay", ...ours },
    { name: "9p", mode: "", kind: "9p", by: hide, ...ours },
    { name: "memory", ...ours },
    { name: "disk", ...ours, flags: ["--no-template", "--disk", "2G"] },
    ...(against === undefined ? [] : [{ name: "before", mode: "", sbx: against }]),
  ];
}

function subjectOf(place: Place, given: string, scratch: string): Subject {
  const { name, mode, flags = [], kind = "", by = [], sbx = SBX } = place;
  const round = async () => {
    const directory = join(scratch, "work");
    mkdirSync(join(directory, "given"), { recursive: true });
    try {
      if (mode !== undefined) {
        execFileSync("tar", ["xf", join(given, "tree.tar"), "-C", join(directory, "given")]);
      }
      const [work, mount] = mode === undefined
        ? ["/tmp/work", []]
        : ["/work", ["-v", `${directory}:/work${mode}`]];
      // What is not measured is in the guest's memory, also where it has a disk.
      const script = `mkdir -p ${work} /dev/shm/own && exec sh /bench/files_steps.sh "$@"`;
      return await timed([
        ...by,
        ...MORTAL,
        ...[sbx, "run", "--quiet", "--no-net", ...flags, "-v", `${given}:/bench:ro`, ...mount],
        ...["--", "sh", "-c", script, "sh", "/bench", work, "/dev/shm/own", kind],
      ], mode === undefined ? OWN_STEPS : FIGURES);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  };
  return { name, round };
}

function hostSubject(given: string, scratch: string): Subject {
  const round = async () => {
    const [directory, own] = [join(scratch, "work"), join(scratch, "own")];
    mkdirSync(join(directory, "given"), { recursive: true });
    mkdirSync(own);
    try {
      execFileSync("tar", ["xf", join(given, "tree.tar"), "-C", join(directory, "given")]);
      return await timed([...MORTAL, "sh", SCRIPT, given, directory, own, ""], FIGURES);
    } finally {
      for (const path of [directory, own]) rmSync(path, { recursive: true, force: true });
    }
  };
  return { name: "host", round };
}

export const benchmark: Benchmark = async (bench) => {
  const scratch = mkdtempSync(join(tmpdir(), "sbx-bench-"));
  try {
    const given = join(scratch, "given");
    mkdirSync(given);
    writeTree(given);
    execFileSync("cp", [SCRIPT, given]);
    const subjects = [
      ...placesOf(bench.against).map((place) => subjectOf(place, given, scratch)),
      hostSubject(given, scratch),
    ];
    // A guest's first round is like its others: each is a guest of its own.
    const series = await interleave(subjects, bench.rounds(3), { warmUp: 0, note: bench.note });
    const title = "a tree of 3000 small files, 13 MB";
    bench.print(formatTable({ title, figures: FIGURES, series, against: "memory", aims: AIMS }));
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
};
