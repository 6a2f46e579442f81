/**
 * Where the values of secrets are read.
 *
 * @module
 */
import { SbxError } from "../base/errors.ts";
import { escapeText } from "../base/escape.ts";
import { AWS_PARTS, AWS_SUFFIX } from "../policy/model/aws_pair.ts";
import type { Secret } from "../policy/model/secret.ts";
import { readPrintedPair, readSharedCredentials } from "../secret/aws/credentials.ts";
import { readPrinted } from "../secret/printed_value.ts";
import {
  type ProgramValue,
  readingOf,
  type SecretReading,
  type SourceReading,
} from "../secret/program_values.ts";
import { ownEnvironment, ownVariable } from "./own_strings.ts";
import { type CommandContext, readCommand } from "./secret_command.ts";
import { expandHome } from "./paths.ts";
import { readSecretFile } from "./secret_file.ts";
import { hasStored, readKept } from "./secret_store.ts";

/** A program's own function gets as long as a command does. */
const LIMIT_MS = 30_000;

/** A file with the shared credentials of many profiles. */
const MOST_OF_CREDENTIALS = 256 << 10;

export interface SourceContext extends CommandContext {
  /** What the program that makes the sandbox gave for a secret. */
  readonly valueOf: (name: string) => ProgramValue | undefined;
  readonly onNotice: (line: string) => void;
}

/** A way to ask the source of the secret, and whether one answer may serve all who wait for it. */
export interface OpenSource {
  readonly read: () => SourceReading | Promise<SourceReading>;
  readonly shares: boolean;
}

/** Reads nothing yet. What `read` throws or rejects with is `SbxError` SECRET_UNAVAILABLE. */
export function openSource(secret: Secret, context: SourceContext): OpenSource {
  const { name, source, aws } = secret;
  const interpret = (text: string): SourceReading =>
    aws === undefined ? { texts: [text] } : readPrintedPair(name, text);
  switch (source.kind) {
    case "env":
      return { read: () => readVariables(secret, source.variable), shares: true };
    case "file": {
      const warnOnce = once(context.onNotice);
      return {
        shares: false,
        read: async () => {
          const most = aws === undefined ? undefined : MOST_OF_CREDENTIALS;
          const { text, isExposed } = await readSecretFile(name, source.path, most);
          if (isExposed) {
            const path = escapeText(expandHome(source.path));
            warnOnce(`others on this machine can read secret ${name}: run 'chmod go= ${path}'`);
          }
          return aws === undefined
            ? interpret(text)
            : readSharedCredentials(name, aws.profile, text);
        },
      };
    }
    case "cmd": {
      const interpretPrinted = aws === undefined ? readPrinted : readPrintedPair;
      return {
        read: async () => interpretPrinted(name, await readCommand(name, source.command, context)),
        shares: true,
      };
    }
    case "keychain":
      return {
        read: async () => interpret(await readKept(name, source.service, context)),
        shares: true,
      };
    case "program":
      return { read: () => readProgram(name, context, interpret), shares: true };
  }
}

/** Of a pair `variable` is what the variables of its parts begin with. */
function readVariables({ name, aws }: Secret, variable: string): SourceReading {
  if (aws === undefined) return { texts: [readVariable(name, variable)] };
  const own = ownEnvironment();
  // What is empty counts as unset, as it does to AWS's own tools.
  const texts = AWS_PARTS.map((part) => own[variable + AWS_SUFFIX[part]] || null);
  const missing = AWS_PARTS.find((part, at) => part !== "token" && texts[at] === null);
  if (missing === undefined) return { texts };
  const unset = variable + AWS_SUFFIX[missing];
  throw new SbxError(
    "SECRET_UNAVAILABLE",
    `Cannot read secret ${name}: ${unset} is not set in the environment`,
    { hint: `export ${unset} first, or name a file or command that has the keys` },
  );
}

function readVariable(name: string, variable: string): string {
  const value = ownVariable(variable);
  if (value !== undefined) return value;
  throw new SbxError(
    "SECRET_UNAVAILABLE",
    `Cannot read secret ${name}: ${variable} is not set in the environment`,
    {
      hint: hasStored(variable)
        ? `'sbx secret' keeps one of that name: write ${name}=keychain:${variable}@HOST`
        : `export ${variable} first, or keep the value with 'sbx secret set ${variable}' and write ` +
          `${name}=keychain:${variable}@HOST`,
    },
  );
}

function readProgram(
  name: string,
  { valueOf, signal }: SourceContext,
  interpret: (text: string) => SourceReading,
): SourceReading | Promise<SourceReading> {
  const given = valueOf(name);
  if (typeof given === "string") return interpret(given);
  if (given === undefined) throw unavailable(name, "the program gave no value for it");
  return bounded(name, signal, given).then(({ value, expires }) => ({
    ...interpret(value),
    ...(expires === undefined ? {} : { expires }),
  }));
}

/** The program's function goes on by itself after that; nobody waits for it. */
async function bounded(
  name: string,
  signal: AbortSignal,
  ask: Exclude<ProgramValue, string>,
): Promise<SecretReading> {
  const over = Promise.withResolvers<never>();
  const stop = () => over.reject(unavailable(name, "the sandbox was ended"));
  const timer = setTimeout(
    () => over.reject(unavailable(name, `the program took longer than ${LIMIT_MS / 1000} s`)),
    LIMIT_MS,
  );
  signal.addEventListener("abort", stop, { once: true });
  try {
    const answer = await Promise.race([Promise.resolve().then(ask), over.promise]);
    const reading = readingOf(answer);
    if (reading !== null) return reading;
  } catch (cause) {
    if (cause instanceof SbxError) throw cause;
    // What a program throws can have the value in it, so it is only its cause.
    throw unavailable(name, "the program's function failed", cause);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", stop);
  }
  throw unavailable(
    name,
    "the program's function gave neither a text nor { value, expires: new Date(…) }",
  );
}

function unavailable(name: string, state: string, cause?: unknown): SbxError {
  return new SbxError(
    "SECRET_UNAVAILABLE",
    `Cannot read secret ${name}: ${state}`,
    cause === undefined ? {} : { cause },
  );
}

function once(tell: (line: string) => void): (line: string) => void {
  let isTold = false;
  return (line) => {
    if (!isTold) tell(line);
    isTold = true;
  };
}
