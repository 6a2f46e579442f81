import { afterAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { wholeTree } from "../../lib/cli/command_tree.ts";
import { complete } from "../../lib/cli/completion_words.ts";
import { start, until } from "../support/process.ts";

const scratch = mkdtempSync(join(tmpdir(), "sbx-completion-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const bin = join(scratch, "bin");
const work = join(scratch, "work");
for (const directory of [bin, work, join(work, "deep")]) mkdirSync(directory);

/** A name that runs a command where a shell puts it into a line as it is. */
const HOSTILE = "hostile$(touch pwned);x.yaml";
for (const name of ["build.yaml", HOSTILE, "deep/inner.yaml", "plain.txt", "a tab\tin.yaml"]) {
  writeFileSync(join(work, name), "default: deny\n");
}

// Completes as sbx does, and otherwise shows what it was called with.
const main = `'${process.execPath}' '${process.cwd()}/main.ts'`;
writeFileSync(
  join(bin, "sbx"),
  `#!/bin/sh
[ "$1" != __complete ] || exec ${main} "$@"
for word; do printf '<%s>' "$word"; done
echo '#'
`,
);
writeFileSync(join(bin, "completion"), `#!/bin/sh\nexec ${main} completion "$@"\n`);
for (const program of ["sbx", "completion"]) chmodSync(join(bin, program), 0o755);

const SHELLS = {
  bash: ["bash --norc --noprofile -i", "source <(completion bash); PS1='rea''dy '"],
  zsh: [
    "zsh -f -i",
    "autoload -U compinit; compinit -D -u; source <(completion zsh); PS1='rea''dy '",
  ],
  fish: [
    "fish --no-config --private -i",
    "completion fish | source; function fish_prompt; echo 'rea''dy '; end",
  ],
} as const;

/** What is typed, and the words that the shell then runs. */
const TYPED = [
  ["sbx compl\tzs\t", "<completion><zsh>"],
  ["sbx policy che\tbuild.y\t", "<policy><check><build.yaml>"],
  ["sbx run --policy pub\t-- true", "<run><--policy><public-only><--><true>"],
  ["sbx run --policy=publ\t-- true", "<run><--policy=public-only><--><true>"],
  ["sbx run --policy deep/in\t-- true", "<run><--policy><deep/inner.yaml><--><true>"],
  ["sbx run --deny-with rej\t-- true", "<run><--deny-with><reject><--><true>"],
  ["sbx log plai\t", "<log><plain.txt>"],
  ["sbx run --policy hos\t-- true", `<run><--policy><${HOSTILE}><--><true>`],
] as const;

test.each(Object.keys(SHELLS) as (keyof typeof SHELLS)[])(
  "%s completes commands, options, presets and policy files, and quotes what it puts into the line",
  async (name) => {
    const [shell, setUp] = SHELLS[name];
    const env = {
      PATH: `${bin}:${process.env["PATH"]}`,
      HOME: scratch,
      TERM: "dumb",
      LANG: "C.UTF-8",
    };
    const terminal = start(["script", "-qec", `stty cols 200; ${shell}`, "/dev/null"], {
      cwd: work,
      env: { ...env, XDG_CONFIG_HOME: scratch, XDG_DATA_HOME: scratch },
      limit: 120,
    });
    try {
      const seen: string[] = [];
      const enter = (line: string) => terminal.child.stdin?.write(`${line}\r`);
      enter(setUp);
      for (const [typed] of TYPED) {
        await until("the prompt", () => /ready \S*$/.test(plain(terminal.stdout())));
        const before = terminal.stdout().length;
        enter(typed);
        const shown = () => /^(<.*>)#\r?$/m.exec(plain(terminal.stdout().slice(before)))?.[1];
        await until(`the words of ${typed}`, () => shown() !== undefined);
        seen.push(shown() ?? "");
      }
      expect(seen).toEqual(TYPED.map(([, words]) => words));
    } finally {
      terminal.kill();
    }
    expect(() => readFileSync(join(work, "pwned"))).toThrow("ENOENT");
  },
  150_000,
);

const state = process.env["XDG_STATE_HOME"];
afterAll(() => {
  if (state === undefined) delete process.env["XDG_STATE_HOME"];
  else process.env["XDG_STATE_HOME"] = state;
});

describe("what may end a command line", async () => {
  const root = await wholeTree();
  process.env["XDG_STATE_HOME"] = scratch;
  for (const place of ["sandboxes/mine", "snapshots/built", "snapshots/.new-1"]) {
    mkdirSync(join(scratch, "sbx", place), { recursive: true });
  }
  test.each([
    ["", ["run", "policy"], "nothing"],
    ["ru", ["run"], "nothing"],
    ["nothing-of-ours ", [], "nothing"],
    ["policy ", ["show", "check"], "nothing"],
    ["policy show ", ["allow-all", "none", "public-only"], "directories"],
    ["run --tls-b", ["--tls-bypass"], "nothing"],
    ["run -q --policy ", ["public-only"], "directories"],
    ["run --policy=", ["--policy=public-only"], "directories"],
    ["run --log ", [], "files"],
    ["run -ti --tls-ca-key ", [], "files"],
    // The value of an option that is cut short is that option's, whatever it looks like.
    ["run -qm --policy --log ", [], "files"],
    ["run -e policy ", [], "commands"],
    ["run ", [], "commands"],
    ["run -- ", [], "commands"],
    ["run ls --pol", [], "files"],
    ["run -- --pol", [], "commands"],
    ["run ls -- -", [], "files"],
    ["exec dev ", [], "commands"],
    ["exec dev -- ", [], "commands"],
    ["exec dev ls --det", [], "files"],
    ["exec dev --det", ["--detach"], "nothing"],
    ["snapshot ", ["create", "ls", "rm", "mine"], "nothing"],
    ["snapshot mine --h", ["--help"], "nothing"],
    ["snapshot mine ", [], "nothing"],
    ["snapshot create ", ["mine"], "nothing"],
    ["snapshot rm ", ["built"], "nothing"],
    ["run --from ", ["built"], "nothing"],
    ["create --from=", ["--from=built"], "nothing"],
    ["fork ", ["mine"], "nothing"],
    ["log ", [], "files"],
    ["ca export --format ", ["pem", "der"], "nothing"],
    ["completion ", ["bash", "zsh", "fish", "powershell"], "nothing"],
    ["completion bash ", [], "nothing"],
    ["__", [], "nothing"],
  ])("%p", (line, expected, place) => {
    const { candidates, place: also } = complete(root, line.split(" "));
    const words = candidates.map(({ word }) => word);
    expect({ words: words.filter((word) => expected.includes(word)), place: also }).toEqual({
      words: expected,
      place: place as typeof also,
    });
    if (expected.length === 0) expect(words).toEqual([]);
  });
});

/** What is shown, without what moves the cursor and colours. */
function plain(shown: string): string {
  // deno-lint-ignore no-control-regex
  return shown.replaceAll(/\x1b(?:\[[0-9;?>=]*[A-Za-z]|\][^\x07]*\x07|[()=>][A-Z0-9]?)/g, "");
}
