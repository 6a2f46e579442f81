/**
 * What README and docs show, run as a reader would who copies it: in a directory of the reader's own, by the
 * compiled binary, in a guest. The internet is the fake one, whose authority the reader's machine trusts.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { examplesIn, moduleOf, page } from "../support/documents.ts";
import { membersOf, openAccounts, valuesOf } from "../support/members.ts";
import { type Run, run } from "../support/process.ts";
import { makeSystem } from "../support/system_tree.ts";
import { quoted } from "../support/recipes.ts";
import { FENCES, shownCommands } from "../support/shown_commands.ts";
import { openWorld, ROOT, SBX, type World } from "../support/world.ts";

const SYSTEM_ROOTS = "/etc/ssl/certs/ca-certificates.crt";

/** What the pages take for granted: the reader's own programs say that they ran, and projects are small. */
const PROGRAM = '#!/bin/sh\necho "$0 ran"\n';
const AGENT =
  '#!/bin/sh\ncurl -sSf -H "Authorization: Bearer $GITHUB_TOKEN" https://api.github.com/user\n';
const FILES: Readonly<Record<string, string>> = {
  "agent": AGENT,
  "tools/agent": AGENT,
  "migrate": PROGRAM,
  "server": PROGRAM,
  "Makefile": "all test:\n\techo $@ ran\n",
  "policy.yaml": "default: deny\nrules: [allow@api.example.com:tcp:443]\n",
  "hosts.txt": "0.0.0.0 tracker.example\n",
  "src/main.c": "",
  "app/Makefile": "all test:\n\techo $@ ran\n",
  "app/package.json": '{"name":"app","version":"1.0.0"}',
  "app/package-lock.json":
    '{"name":"app","version":"1.0.0","lockfileVersion":3,"packages":{"":{"name":"app","version":"1.0.0"}}}',
  "app/.npmrc": "audit=false\nfund=false\nupdate-notifier=false\n",
};

/** What a command prints that has something to say of itself; the others have to succeed. */
const PRINTED: readonly (readonly [part: string, printed: RegExp])[] = [
  ["-n warm", /^warm\n$/],
  ["start warm", /^warm\n$/],
  ["exec warm", /^$/],
  ["snapshot warm", /^ready\n$/],
  ["-n next", /^next\n$/],
  ["start next", /^next\n$/],
  ["exec next", / ps\n$/],
  ["--force warm next", /^warm\nnext\n$/],
  ["snapshot rm ready", /^ready\n$/],
  ["uname -a", /^Linux sandbox /],
  [" curl ", /^hello from /],
  ["echo $GITHUB_TOKEN; ./agent", /^sbx-placeholder-\S+\nhello from \S+ as api\.github\.com /],
  ["./agent", /^hello from \S+ as api\.github\.com /],
  ["/tools/agent", /^hello from \S+ as api\.github\.com /],
  ["./migrate", /^\.\/migrate ran\n$/],
  ["./server", /^\.\/server ran\n$/],
  [" make", /^echo \w+ ran\n\w+ ran\n$/],
  ["npm ci", /up to date/],
  ["sbx log --denied", /^$/],
  ["sbx log agent.jsonl", /api\.github\.com/],
  ["sbx init", /^$/],
  ["secret set", /^$/],
  ["sbx ssh dev id", /^uid=0\(root\) /],
  ["sbx ssh-config", /^Host dev\.sbx\n/],
  ["sbx create", /^dev\n$/],
  ["sbx start", /^dev\n$/],
  ["echo kept", /^$/],
  ["exec -d", /^1\n$/],
  ["sbx attach", /^kept\nbuilt\n$/],
  ["sbx cp", /^$/],
  ["sbx stats", /^name .*\ndev /i],
  ["sbx stop", /^dev\n$/],
  ["snapshot base built", /^built\n$/],
  ["cat /root/state", /^built\n$/],
  ["echo built > /root/state", /^$/],
  ["sbx fork", /^try\n$/],
  ["snapshot ls", /^built +base /m],
  ["sbx rm --force base try", /^base\ntry\n$/],
  ["snapshot rm", /^built\n$/],
  ["-n base", /^base\n$/],
  ["-n agent", /^agent\n$/],
  ["echo done", /^$/],
  ["sbx diff agent --patch", /^\+done$/m],
  ["sbx diff agent", /^A notes$/m],
  ["sbx apply agent", /^A notes$/m],
  ["sbx rm --force agent", /^agent\n$/],
  ["sbx rm", /^dev\n$/],
];

const accounts = openAccounts(randomBytes(12).toString("hex"));
const commands = shownCommands().filter(({ runner }) => runner === "guest");

let world: World;
let reader: string;

/** What became of each, without the words behind it. */
const runs = new Map<string, Promise<Run>>();
const plain = (command: string) => command.replace(/ +# .*$/, "");

/** A command, in a shell of the reader's on the machine of the fake internet. */
function typed(command: string): Promise<Run> {
  const values = valuesOf(accounts);
  const own = { ...values, XDG_CACHE_HOME: join(ROOT, ".cache/test") };
  const env = Object.entries({
    ...own,
    HOME: reader,
    XDG_DATA_HOME: join(world.scratch, "data"),
    XDG_STATE_HOME: join(world.scratch, "state"),
  });
  // The checkout's own scripts are run there.
  const place = command.startsWith("./scripts/") ? ROOT : reader;
  const script = `mount --bind '${world.ca}' ${SYSTEM_ROOTS} && cd "$0" && exec sh -c "$1"`;
  return run(
    world.onHostAsRoot([
      ...["unshare", "--mount", "env", ...env.map(([name, value]) => `${name}=${value}`)],
      ...[`PATH=${join(reader, "bin")}:${process.env.PATH}`, "sh", "-c", script, place, command],
    ]),
    { limit: 200, stdin: `${values["GITHUB_TOKEN"]}\n` },
  );
}

beforeAll(async () => {
  world = await openWorld({ members: membersOf(accounts), names: ["example.com"] });
  reader = join(world.scratch, "reader");
  for (const directory of ["bin", "src", "app", "tools"]) {
    mkdirSync(join(reader, directory), { recursive: true });
  }
  for (const [name, text] of Object.entries(FILES)) {
    writeFileSync(join(reader, name), text, { mode: 0o755 });
  }
  makeSystem(join(reader, "tree"), ["/usr/bin/curl"]);
  for (const { language, code } of FENCES) {
    const name = /^# (\S+\.yaml)\n/.exec(code)?.[1];
    if (language === "yaml" && name !== undefined) writeFileSync(join(reader, name), code);
  }
  // The reader's machine trusts the fake internet, and so shall the guest; no page is about that.
  const shim = `#!/bin/sh
[ "$1" = run ] || exec ${quoted([SBX])} "$@"
shift
exec ${quoted([SBX])} run --trust-host-cas "$@"
`;
  writeFileSync(join(reader, "bin/sbx"), shim, { mode: 0o755 });
  await runAll();
}, 900_000);
afterAll(() => world?.[Symbol.asyncDispose]());

/** Those of one page in their order, as one may need what another made; all pages at once. */
async function runAll(): Promise<void> {
  const pages = [...new Set(commands.map(({ page }) => page))];
  await Promise.all(pages.map(async (page) => {
    for (const { command } of commands.filter((shown) => shown.page === page)) {
      if (!runs.has(plain(command))) runs.set(plain(command), typed(command));
      await runs.get(plain(command))?.catch(() => {});
    }
  }));
}

describe("as it is shown", () => {
  test.each(commands.map(({ page, command }) => [page, command] as const))(
    "%s: %s",
    async (_page, command) => {
      const result = await runs.get(plain(command));
      const [, printed] = PRINTED.find(([part]) => command.includes(part)) ?? [];
      expect(printed).toBeDefined();
      expect([result?.status, result?.stdout, result?.stderr]).toEqual([
        0,
        expect.stringMatching(printed ?? ""),
        expect.anything(),
      ]);
    },
  );
});

test("the refusal that the pages show is told in these words", async () => {
  const shown = FENCES.filter(({ code }) => code.startsWith("sbx: denied"))
    .map(({ page, code }) => [page, code.trim()]);
  expect(shown.map(([page]) => page)).toEqual(["README.md", "docs/tutorial.md"]);
  const { stderr } = await typed("sbx run -- curl -s -m 1 10.0.0.5:5432");
  const told = stderr.split("\n");
  expect(shown.filter(([, line = ""]) => !told.includes(line))).toEqual([]);
}, 300_000);

test("the programs of docs/library.md run", async () => {
  const program = join(reader, "program.ts");
  const readers = `
const report = (_line: string) => {};
const consume = (bytes: Uint8Array) => console.log(new TextDecoder().decode(bytes).trim());
const currentKey = () => Promise.resolve("");
`;
  const ours = `
const late = sandbox.exec("sleep", ["100"]);
late.kill("SIGTERM");
console.log((await late.exit).signal);
try {
  sandbox.exec("true", [], { cwd: "/" });
} catch ({ message, hint }) {
  console.log(message, hint);
}
setTimeout(() => void sandbox.stop(), 100); // of which events are the last to hear
`;
  const shown = examplesIn(page("docs/library.md"));
  const events = shown.findIndex((code) => code.includes("sandbox.events("));
  const examples = shown.toSpliced(events, 1);
  writeFileSync(program, readers + moduleOf([...examples, ours, shown[events] ?? ""]));
  const { status, stdout, stderr } = await typed(quoted([process.execPath, program]));
  expect([status, stdout, stderr]).toEqual([
    0,
    'a\nb\n15\nCannot use exec(…): there is no option "cwd" did you mean workdir?\n',
    "",
  ]);
}, 300_000);
