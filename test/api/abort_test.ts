/**
 * Whoever waits can give up, everywhere and in one way: `signal` among the last options, whose reason is what the wait
 * rejects with.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import {
  type Abortable,
  CertificateAuthority,
  doctor,
  licences,
  NetworkPolicy,
  readJournal,
  Sandbox,
  SecretStore,
  Templates,
} from "../../lib/mod.ts";
import { ROOT } from "../support/world.ts";

/** Calls that answer later and take no signal, and why. */
const WITHOUT: Readonly<Record<string, string>> = {
  "NetworkPolicyConstructor.parse": "computes",
  "NetworkPolicyConstructor.spell": "computes",
  "NetworkPolicyConstructor.schema": "computes",
  "SecretStore.requireName": "computes",
  "Templates.buildBehind": "waits for nothing",
  "NamedSandbox.description": "is known already",
  "NamedSandbox.find": "is no public one, and takes the signal itself",
  "NamedSandbox.[Symbol.asyncDispose]": "has no options",
  "RunningSandbox.[Symbol.asyncDispose]": "has no options",
  "SandboxBuilder.[BEGUN]": "is no public one",
  "SandboxProcess.answers": "is given up with the command, by the signal of exec",
  "SandboxProcess.output": "is given up with the command, by the signal of exec",
};

const LATER = [
  "Promise",
  "AsyncGenerator",
  "SandboxProcess",
  "GuestConnection",
  "ReadableStream",
  "WritableStream",
];

/** What `deno doc` says of a type, as far as it is looked at here. */
interface Shape {
  readonly repr?: string;
  readonly typeName?: string;
  readonly value?: { readonly typeName?: string };
}
interface Parameter {
  readonly tsType?: Shape;
  readonly left?: { readonly tsType?: Shape };
}
interface Callable {
  readonly params?: readonly Parameter[];
  readonly returnType?: Shape;
}
interface Method extends Callable {
  readonly name: string;
  readonly kind?: string;
  readonly functionDef?: Callable;
}
interface Definition extends Callable {
  readonly properties?: readonly { readonly name: string }[];
  readonly methods?: readonly Method[];
  readonly extends?: readonly Shape[];
}
interface Symbols {
  readonly symbols: readonly {
    readonly name: string;
    readonly declarations: readonly { readonly kind: string; readonly def?: Definition }[];
  }[];
}

function documented(): ReadonlyMap<string, Definition & { readonly kind: string }> {
  const json = execFileSync("deno", ["doc", "--json", "lib/mod.ts"], {
    cwd: ROOT,
    encoding: "utf8",
    maxBuffer: 64 << 20,
  });
  const { nodes } = JSON.parse(json) as { nodes: Readonly<Record<string, Symbols>> };
  const all = new Map<string, Definition & { readonly kind: string }>();
  for (const { name, declarations } of Object.values(nodes).flatMap(({ symbols }) => symbols)) {
    // An interface and the constant that it describes have one name.
    for (const { kind, def } of declarations) {
      if (kind !== "variable") all.set(name, { kind, ...def });
    }
  }
  return all;
}

test("every public call that answers later takes a signal", () => {
  const all = documented();
  const takes = (type: string | undefined): boolean => {
    const { properties = [], extends: bases = [] } = all.get(type ?? "") ?? {};
    return properties.some(({ name }) => name === "signal") ||
      bases.some((base) => takes(nameOf(base)));
  };
  const calls = [...all].flatMap(([name, { kind, methods = [], ...own }]): [string, Callable][] =>
    kind === "function" ? [[name, own]] : methods.filter(({ kind }) => kind !== "getter")
      .map((method) => [`${name}.${method.name}`, method.functionDef ?? method])
  ).filter(([, { returnType }]) => LATER.includes(nameOf(returnType) ?? ""));
  expect(calls.length).toBeGreaterThan(70);
  const without = calls.filter(([, { params = [] }]) => {
    const last = params.at(-1);
    return !takes(nameOf(last?.tsType ?? last?.left?.tsType));
  });
  expect(without.map(([name]) => name).sort()).toEqual(Object.keys(WITHOUT).sort());
});

function nameOf(type: Shape | undefined): string | undefined {
  return type?.value?.typeName ?? type?.typeName ?? type?.repr;
}

const directory = mkdtempSync(join(tmpdir(), "sbx-abort-"));
const fifo = join(directory, "fifo");
const HOMES = ["XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "HOME"] as const;
const before = HOMES.map((name) => [name, process.env[name]] as const);
beforeAll(() => {
  for (const name of HOMES) process.env[name] = join(directory, "home");
  execFileSync("mkfifo", [fifo]);
});
afterAll(() => {
  for (const [name, value] of before) {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
  rmSync(directory, { recursive: true, force: true });
});

const listed = async () => ({
  ...await NetworkPolicy.parse("default: deny\n", "p.yaml"),
  dns: {
    ...(await NetworkPolicy.parse("default: deny\n", "p.yaml")).dns,
    blockLists: [{ path: fifo, as: "name" as const }],
  },
});

test("a call whose signal is aborted already does nothing", async () => {
  const reason = new Error("enough");
  const given: Abortable = { signal: AbortSignal.abort(reason) };
  const file = await listed();
  const calls: readonly (() => Promise<unknown>)[] = [
    () => CertificateAuthority.init(given),
    () => CertificateAuthority.rotate(given),
    () => CertificateAuthority.load(given),
    () => CertificateAuthority.remove(given),
    () => SecretStore.set("TOKEN", "a value of some length", { keptIn: "file", ...given }),
    () => SecretStore.list(given),
    () => SecretStore.remove("TOKEN", given),
    () => Templates.build({}, given),
    () => Templates.list(given),
    () => Templates.remove("a".repeat(64), given),
    () => Templates.prune(0, given),
    () => doctor(given),
    () => licences(given),
    () => NetworkPolicy.fromFile(fifo, given),
    () => NetworkPolicy.blockedNames(file, given),
    () => NetworkPolicy.test(file, given),
    () => NetworkPolicy.check(file, given),
    () => readJournal(fifo, given).next(),
    () => Sandbox.get("dev", given),
    () => Sandbox.list(given),
    () => Sandbox.kill("dev", given),
    () => Sandbox.remove("dev", given),
    () => Sandbox.snapshots(given),
    () => Sandbox.removeSnapshot("tag", given),
    () => Sandbox.builder().create(given),
    () => Sandbox.builder("dev").createDetached({ start: false, ...given }),
  ];
  for (const call of calls) {
    expect([`${call}`, await call().then(() => "done", (error) => error)]).toEqual([
      `${call}`,
      reason,
    ]);
  }
  expect(readdirSync(directory)).toEqual(["fifo"]);
});

test("a wait for a file that says nothing ends when its signal is aborted", async () => {
  const file = await listed();
  const calls: readonly ((given: Abortable) => Promise<unknown>)[] = [
    (given) => NetworkPolicy.fromFile(fifo, given),
    (given) => NetworkPolicy.blockedNames(file, given),
    (given) => NetworkPolicy.test(file, given),
    (given) => NetworkPolicy.check(file, given),
    (given) => readJournal(fifo, given).next(),
    (given) => readJournal(fifo, { follow: true, ...given }).next(),
  ];
  for (const call of calls) {
    const answer = call({ signal: AbortSignal.timeout(50) }).then(() => "done", ({ name }) => name);
    expect([`${call}`, await answer]).toEqual([`${call}`, "TimeoutError"]);
    // Whoever still waits to open it is let go.
    writeFileSync(fifo, "", { flag: "r+" });
  }
});

test("a journal that is followed is left when its signal is aborted", async () => {
  const path = join(directory, "net.jsonl");
  writeFileSync(path, '{"time":"t","event":"start"}\n');
  const events: unknown[] = [];
  const following = (async () => {
    const signal = AbortSignal.timeout(100);
    for await (const record of readJournal(path, { follow: true, signal })) {
      events.push(record?.event);
    }
  })();
  await expect(following).rejects.toMatchObject({ name: "TimeoutError" });
  expect(events).toEqual(["start"]);
});
