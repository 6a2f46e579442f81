/**
 * Changes of copies as a supervisor tells them, a line each, since there can be more than an answer holds.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { SbxError } from "../base/errors.ts";
import { LineCutter } from "../journal/line_cutter.ts";
import type {
  ApplyChangesOptions,
  ApplyReport,
  Change,
  Changes,
  FailedChange,
} from "../sandbox/changes/change.ts";
import { patchOf } from "../sandbox/changes/patch.ts";
import type { ChangedTexts, TextChanges } from "../sandbox/changes/texts.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import type { Fields } from "../wire/call_result.ts";
import type { ServedCall } from "../wire/call_server.ts";
import { LineWriter } from "./line_writer.ts";
import { wanted } from "./wanted.ts";

/** One line: a change, with the content of both sides in base64 where that was asked for, or what became of it. */
interface ChangeLine {
  readonly change: Change;
  readonly before?: string;
  readonly after?: string;
  readonly as?: "applied" | "held" | "failed";
  readonly message?: string;
}

/** @throws SbxError as `Sandbox.diff` */
export async function tellChanges(
  sandbox: Pick<Sandbox, "diff" | "changedTexts">,
  { paths, texts }: { readonly paths: readonly string[]; readonly texts: boolean },
  call: ServedCall,
): Promise<Fields> {
  const signal = wanted(call);
  const { changes, digest } = texts
    ? await sandbox.changedTexts({ paths }, signal)
    : withoutTexts(await sandbox.diff({ paths }, signal));
  const lines = new LineWriter(call.output);
  for (const each of changes) await lines.tell(textLine(each));
  await lines.end();
  return { digest };
}

/** @throws SbxError as `Sandbox.apply` */
export async function tellApplied(
  sandbox: Pick<Sandbox, "apply">,
  options: ApplyChangesOptions,
  call: ServedCall,
): Promise<Fields> {
  const { applied, held, failed } = await sandbox.apply(options, wanted(call));
  const lines = new LineWriter(call.output);
  const tell = (line: ChangeLine) => lines.tell(line);
  for (const change of applied) await tell({ as: "applied", change });
  for (const change of held) await tell({ as: "held", change });
  for (const { change, message } of failed) await tell({ as: "failed", change, message });
  await lines.end();
  return {};
}

/** The reverse of {@link tellChanges}; `digest` is what the call answered. */
export async function heardChanges(
  output: AsyncIterable<Uint8Array>,
  digest: Promise<Fields>,
): Promise<Changes> {
  const changes: Change[] = [];
  for await (const { change, before, after } of linesOf(output)) {
    const patch = patchOf(change, {
      ...(before === undefined ? {} : { before: Buffer.from(before, "base64") }),
      ...(after === undefined ? {} : { after: Buffer.from(after, "base64") }),
    });
    changes.push(patch === undefined ? change : { ...change, patch });
  }
  return { changes, digest: String((await digest).digest) };
}

/** The reverse of {@link tellApplied}. */
export async function heardApplied(output: AsyncIterable<Uint8Array>): Promise<ApplyReport> {
  const applied: Change[] = [];
  const held: Change[] = [];
  const failed: FailedChange[] = [];
  for await (const { as, change, message = "" } of linesOf(output)) {
    if (as === "applied") applied.push(change);
    else if (as === "held") held.push(change);
    else failed.push({ change, message });
  }
  return { applied, held, failed };
}

async function* linesOf(output: AsyncIterable<Uint8Array>): AsyncGenerator<ChangeLine, void> {
  const lines = new LineCutter();
  for await (const bytes of output) {
    for (const line of lines.push(bytes)) {
      if (line === null) {
        throw new SbxError("PROTOCOL", "Cannot follow the supervisor: a change is too long");
      }
      yield JSON.parse(line);
    }
  }
}

function withoutTexts({ changes, digest }: Changes): TextChanges {
  return { changes: changes.map((change) => ({ change })), digest };
}

function textLine({ change, before, after }: ChangedTexts): ChangeLine {
  return {
    change,
    ...(before === undefined ? {} : { before: Buffer.from(before).toString("base64") }),
    ...(after === undefined ? {} : { after: Buffer.from(after).toString("base64") }),
  };
}
