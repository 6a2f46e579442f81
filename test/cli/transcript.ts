/**
 * Command-line tests as transcripts. A transcript is a text file:
 *
 * ```
 * # What this shows. Lines before the first step are the title.
 * $ sbx policy show nope
 * 2> sbx: cannot use policy "nope": neither a preset nor a file
 * ? 2
 *
 * -- lan.yaml --
 * default: deny
 * ```
 *
 * `$` runs a line in a shell, in a fresh directory that holds the files written below. `>` is a line
 * of standard output, `2>` of standard error, `?` the exit status (0 when not given). Output must
 * match to the last line; `[..]` stands for any text within one.
 *
 * @module
 */

export interface Step {
  readonly command: string;
  readonly stdout: readonly string[];
  readonly stderr: readonly string[];
  readonly status: number;
  /** Line number in the transcript. */
  readonly line: number;
}

export interface Transcript {
  readonly title: string;
  readonly steps: readonly Step[];
  readonly files: ReadonlyMap<string, string>;
}

export function parseTranscript(text: string): Transcript {
  const title: string[] = [];
  const steps: {
    -readonly [K in keyof Step]: Step[K] extends readonly string[] ? string[] : Step[K];
  }[] = [];
  const files = new Map<string, string>();
  let file: string | undefined;
  for (const [index, line] of text.split("\n").entries()) {
    const named = /^-- (.+) --$/.exec(line)?.[1];
    const step = steps.at(-1);
    if (named !== undefined) files.set(file = named, "");
    else if (file !== undefined) files.set(file, `${files.get(file) ?? ""}${line}\n`);
    else if (line.startsWith("$ ")) {
      steps.push({ command: line.slice(2), stdout: [], stderr: [], status: 0, line: index + 1 });
    } else if (step === undefined) title.push(line.replace(/^# ?/, ""));
    else if (/^>( |$)/.test(line)) step.stdout.push(line.slice(2));
    else if (/^2>( |$)/.test(line)) step.stderr.push(line.slice(3));
    else if (/^\? \d+$/.test(line)) step.status = Number(line.slice(2));
    else if (line !== "" && !line.startsWith("#")) {
      throw new Error(`line ${index + 1} of the transcript is neither a step nor a file: ${line}`);
    }
  }
  return { title: title.join(" ").trim(), steps, files };
}

/** Whether the printed text is the expected lines. */
export function matches(printed: string, expected: readonly string[]): boolean {
  const lines = printed === "" ? [] : printed.replace(/\n$/, "").split("\n");
  return lines.length === expected.length &&
    expected.every((line, index) => pattern(line).test(lines[index] ?? ""));
}

function pattern(line: string): RegExp {
  const parts = line.split("[..]").map((part) => part.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`);
}
