/**
 * The secrets of one sandbox, from their declarations: placeholders of its own, and values that are
 * asked of their sources for each request.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { inSentence, SbxError } from "../base/errors.ts";
import { ownSystem } from "../host/own_system.ts";
import { openSource, type SourceContext } from "../host/secret_source.ts";
import { partsOf } from "../policy/model/aws_pair.ts";
import { isHostOf, type Secret, type SecretSettings } from "../policy/model/secret.ts";
import { formOf, type PlaceholderForm } from "../secret/aws/forms.ts";
import type { HeldSecret } from "../secret/grant.ts";
import { LiveValue, type Values } from "../secret/live_value.ts";
import { withTokens } from "../secret/minted.ts";
import { type Draw, makePlaceholders } from "../secret/placeholder.ts";
import type { ProgramValues } from "../secret/program_values.ts";
import { Tripwire } from "../secret/tripwire.ts";
import type { KeptSecret, Vault } from "../secret/vault.ts";

export interface VaultSpec {
  readonly settings: SecretSettings;
  /** Of secrets that the program has itself. Absent: none. */
  readonly values?: ProgramValues;
  /** Directories that the guest can write to, absolute and without links. Absent: none. */
  readonly writable?: readonly string[];
  /** The random bytes of placeholders. Absent: the system's. */
  readonly draw?: Draw;
  /** Aborting it ends every command that is asked; nothing is read any more. */
  readonly signal: AbortSignal;
  readonly onNotice: (line: string) => void;
}

/** A declaration: what the guest has of it, and the values of that. */
interface LiveSecret {
  /** One, or each part of a pair of keys; null: its source had none at the start. */
  readonly parts: readonly (KeptSecret | null)[];
  readonly live: LiveValue;
}

/**
 * Reads each value once, so that one that is missing is told before a guest boots. From then on no core
 * dump of this process, or of one that it starts, has memory in it.
 *
 * @throws SbxError SECRET_INVALID, SECRET_UNAVAILABLE
 */
export async function openVault(spec: VaultSpec): Promise<Vault> {
  const { settings: { secrets, onViolation }, onNotice } = spec;
  ownSystem().processes.withoutCoreDumps();
  const lives = openLives(spec);
  const first = await Promise.all(lives.map((live) => live.current()));
  const all = placed(secrets, lives, first, spec.draw ?? draw);
  const kept = all.flatMap(({ parts }) => parts.flatMap((part) => part === null ? [] : [part]));
  let homes = new Map<string, Home>();
  let isPermitted = (_: LiveSecret): boolean => true;
  let latest: { readonly host: string; readonly home: Home } | null = null;
  const homeOf = (host: string): Home => {
    if (latest?.host === host) return latest.home; // asked for several times in each request
    const own = secrets.flatMap((secret, at) => isHostOf(secret, host) ? [at] : []);
    // Guests can make up names below a suffix without end; the secrets of all of them are few.
    const key = own.join(" ");
    const home = homes.get(key) ??
      new Home(own.flatMap((at) => all[at] ?? []), (one) => isPermitted(one), onNotice);
    homes.set(key, home);
    latest = { host, home };
    return home;
  };
  return withTokens({
    kept,
    onViolation,
    tripwire: new Tripwire(
      kept.map(({ secret: { name }, placeholder }) => ({ name, placeholder })),
    ),
    heldFor: (host) => homeOf(host).held(),
    known: (host) => homeOf(host).known(),
    permit(names) {
      const permitted = new Set(all.filter((_, at) => names.has(secrets[at]?.name ?? "")));
      isPermitted = (one) => permitted.has(one);
      homes = new Map();
      latest = null;
    },
  }, draw);
}

function draw(count: number): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(count));
}

function openLives(
  { settings: { secrets }, values, signal, writable = [], onNotice }: VaultSpec,
): readonly LiveValue[] {
  const lives: LiveValue[] = [];
  const context: SourceContext = {
    signal,
    writable,
    onNotice,
    valueOf: (name) => values?.get(name),
    conceal: (text) => concealed(text, lives),
  };
  for (const secret of secrets) {
    const { read, shares } = openSource(secret, context);
    const parts = partsOf(secret).map(({ name }) => name);
    lives.push(new LiveValue({ name: secret.name, parts, read, shares, now: Date.now }));
  }
  return lives;
}

/** Gives each part that there is a placeholder. `first`: the values, as they are at the start. */
function placed(
  secrets: readonly Secret[],
  lives: readonly LiveValue[],
  first: readonly Values[],
  draw: Draw,
): readonly LiveSecret[] {
  const present = secrets.flatMap((secret, at) =>
    partsOf(secret).flatMap((part, index) => {
      const value = first[at]?.[index] ?? null;
      return value === null ? [] : [{ part, form: formFor(part, value.reveal()) }];
    })
  );
  const placeholders = makePlaceholders(
    present.map(({ part: { name }, form: { format } }) => ({ name, format })),
    draw,
    new Map(present.map(({ part: { name }, form: { length } }) => [name, length])),
  );
  const byName = new Map(present.map(({ part }, at): [string, KeptSecret | null] => {
    const placeholder = placeholders[at];
    return [part.name, placeholder === undefined ? null : { secret: part, placeholder }];
  }));
  return secrets.flatMap((secret, at) => {
    const live = lives[at];
    const parts = partsOf(secret).map(({ name }) => byName.get(name) ?? null);
    return live === undefined ? [] : [{ parts, live }];
  });
}

function formFor({ aws, format }: Secret, value: string): PlaceholderForm {
  return aws?.part === undefined
    ? { format, length: Buffer.byteLength(value) }
    : formOf(aws.part.kind, value);
}

/** The hosts that have the same secrets. */
class Home {
  readonly #secrets: readonly LiveSecret[];
  /** Those that were permitted when it was made. */
  readonly #asked: readonly LiveSecret[];
  readonly #isPermitted: (one: LiveSecret) => boolean;
  readonly #onNotice: (line: string) => void;
  #held: readonly HeldSecret[] = [];
  #known: readonly HeldSecret[] = [];
  /** What those two were made of. */
  #values: readonly Values[] = [];
  #remembered: readonly (readonly Values[])[] = [];
  #failing = false;

  constructor(
    secrets: readonly LiveSecret[],
    isPermitted: (one: LiveSecret) => boolean,
    onNotice: (line: string) => void,
  ) {
    this.#secrets = secrets;
    this.#asked = secrets.filter(isPermitted);
    this.#isPermitted = isPermitted;
    this.#onNotice = onNotice;
  }

  held(): readonly HeldSecret[] | Promise<readonly HeldSecret[]> {
    const asked = this.#asked;
    const all = asked.map(({ live }) => live.current());
    try {
      if (areThere(all)) return this.#holding(asked, all);
    } catch (error) {
      return Promise.reject(this.#failed(error));
    }
    return Promise.all(all).then((values) => {
      // Meanwhile one may have been taken back.
      if (asked.every(this.#isPermitted)) return this.#holding(asked, values);
      return asked.flatMap((one, at) => this.#isPermitted(one) ? held(one, values[at] ?? []) : []);
    }).catch((error) => {
      throw this.#failed(error);
    });
  }

  known(): readonly HeldSecret[] {
    const secrets = this.#secrets;
    if (secrets.every(({ live }, at) => live.remembered === this.#remembered[at])) {
      return this.#known;
    }
    this.#remembered = secrets.map(({ live }) => live.remembered);
    return this.#known = secrets.flatMap((one) =>
      one.live.remembered.flatMap((values) => held(one, values))
    );
  }

  #holding(asked: readonly LiveSecret[], values: readonly Values[]): readonly HeldSecret[] {
    if (!values.every((one, at) => one === this.#values[at])) {
      const all = asked.flatMap((one, at) => {
        requireParts(one, values[at] ?? []);
        return held(one, values[at] ?? []);
      });
      this.#values = values;
      this.#held = all;
    }
    this.#failing = false;
    return this.#held;
  }

  /** A guest can ask as often as it likes; the host hears of it once until it works again. */
  #failed(error: unknown): unknown {
    if (!this.#failing && error instanceof SbxError) {
      const { hint } = error;
      this.#onNotice(hint === undefined ? inSentence(error) : `${inSentence(error)}; ${hint}`);
    }
    this.#failing = true;
    return error;
  }
}

function held({ parts }: LiveSecret, values: Values): HeldSecret[] {
  return parts.flatMap((part, at) => {
    const value = values[at] ?? null;
    return part === null || value === null ? [] : [{ ...part, value }];
  });
}

function areThere(all: readonly (Values | Promise<Values>)[]): all is readonly Values[] {
  return !all.some((values) => values instanceof Promise);
}

/** The guest has what there was at the start: keys of a session are not those of a user. */
function requireParts({ parts }: LiveSecret, values: Values): void {
  for (const [at, value] of values.entries()) {
    const part = parts[at] ?? null;
    if ((part === null) === (value === null)) continue;
    const name = parts.find((one) => one !== null)?.secret.aws?.part?.of ?? "";
    throw new SbxError(
      "SECRET_UNAVAILABLE",
      `Cannot use secret ${name}: its source has ${
        value === null ? "no session token any more" : "a session token now, and had none"
      }`,
      { hint: "start the sandbox again, so that it gets placeholders for what there is" },
    );
  }
}

/** Without the values that are known. */
function concealed(text: string, lives: readonly LiveValue[]): string {
  let safe = text;
  for (const value of lives.flatMap(({ remembered }) => remembered.flat())) {
    if (value !== null) safe = safe.replaceAll(value.reveal(), "[secret]");
  }
  return safe;
}
