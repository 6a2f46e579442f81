/**
 * One secret, call by call: where its value comes from, and where it may go. Immutable, like
 * {@link NetworkBuilder}.
 *
 * @module
 */
import { flag, misuse, optionsOf, text } from "../base/misuse.ts";
import {
  readHeaders,
  readMethod,
  readPathPrefix,
  readSecretEntry,
} from "../policy/file/secret_entry.ts";
import type { SecretShape } from "../policy/file/secret_shape.ts";
import type { Place, Secret, Source, SourceKind } from "../policy/model/secret.ts";
import { orMisuse, quote } from "../policy/text/fault.ts";
import { readFormat, readHost, readPlace } from "../policy/text/secret_declaration.ts";
import { readSource } from "../policy/text/secret_source.ts";
import type { ProgramValue } from "../secret/program_values.ts";

/** What was called so far; absent fields have the defaults of a declaration. */
interface Calls {
  readonly source?: Source;
  /** Of a source that is the program itself. */
  /** Absent where a source has it. */
  readonly value?: ProgramValue;
  readonly hosts: readonly string[];
  readonly places?: readonly Place[];
  readonly headers?: "credentials" | "any" | readonly string[];
  readonly methods?: readonly string[];
  readonly path?: string;
  readonly exclusive?: boolean;
  readonly mask?: boolean;
  readonly format?: string;
  readonly tokens?: {
    readonly path: string | readonly string[];
    readonly hosts?: readonly string[];
  };
  readonly aws?: AwsOptions;
}

/** Of a pair of AWS keys; what is left out is not bound. */
export interface AwsOptions {
  /** Whose keys in a file of shared credentials: `default` when absent. */
  readonly profile?: string;
  /** Regions that requests may be signed for. */
  readonly regions?: readonly string[];
  /** Services, by the names that signatures have of them: `s3`, `dynamodb`. */
  readonly services?: readonly string[];
}

/** A declaration, and the value where the program gave one. */
export interface BuiltSecret {
  /** What it is and where it may go. */
  readonly secret: Secret;
  /** Absent where a source has it. */
  readonly value?: ProgramValue;
}

/** Describes a secret; each call gives a new builder. */
export class SecretBuilder {
  readonly #calls: Calls;

  /** @internal It is given to the function that `NetworkBuilder.secret` takes. */
  constructor(calls: Calls = { hosts: [] }) {
    this.#calls = calls;
  }

  /**
   * The value itself, or a function that is called for each request that needs it. A function may say
   * until when its value is good: `{ value, expires: new Date(…) }`. Kept apart from what `build` shows.
   */
  value(value: ProgramValue): SecretBuilder {
    if (typeof value !== "string" && typeof value !== "function") {
      throw misuse("value(…)", "neither a text nor a function");
    }
    return this.#with({ source: { kind: "program" }, value });
  }

  /** An environment variable of this process; without a source, the one with the secret's name. */
  env(variable: string): SecretBuilder {
    return this.#source("env", variable);
  }

  /** A file; read for each request, without the line end at its end. */
  file(path: string): SecretBuilder {
    return this.#source("file", path);
  }

  /** What a command of the shell prints; run for each request, unless it says until when its value is good. */
  command(command: string): SecretBuilder {
    return this.#source("cmd", command);
  }

  /** What the platform's keychain, or else the store of `sbx secret set`, has under this name. */
  keychain(service: string): SecretBuilder {
    return this.#source("keychain", service);
  }

  /** Who gets the value: `api.example.com`, or `*.example.com` for this name and all below it. */
  hosts(...hosts: readonly string[]): SecretBuilder {
    for (const host of hosts) argument(`hosts(${quote(host)})`, () => readHost(host));
    return this.#with({ hosts: [...this.#calls.hosts, ...hosts] });
  }

  /** Where in a request: `header` and `basic` when not called. */
  places(...places: readonly Place[]): SecretBuilder {
    const read = places.map((place) => argument(`places(${quote(place)})`, () => readPlace(place)));
    if (read.length === 0) throw misuse("places()", "no place is named");
    return this.#with({ places: read });
  }

  /** In which fields: those that carry credentials when not called, any, or these. */
  headers(headers: "credentials" | "any" | readonly string[]): SecretBuilder {
    const shown = typeof headers === "string" ? quote(headers) : headers.map(quote).join(", ");
    argument(`headers(${shown})`, () => readHeaders(headers));
    return this.#with({ headers });
  }

  /** Request methods that may carry the value; all when not called. */
  methods(...methods: readonly string[]): SecretBuilder {
    for (const method of methods) argument(`methods(${quote(method)})`, () => readMethod(method));
    return this.#with({ methods });
  }

  /** What the path of a request must be, or be below; any when not called. */
  path(prefix: string): SecretBuilder {
    return this.#with({ path: argument(`path(${quote(prefix)})`, () => readPathPrefix(prefix)) });
  }

  /** Refuses requests to these hosts with a credential of the guest's own; on when not called. */
  exclusive(on: boolean): SecretBuilder {
    return this.#with({ exclusive: flag("exclusive(…)", on) });
  }

  /** Replaces the value by the placeholder in what these hosts answer; on when not called. */
  mask(on: boolean): SecretBuilder {
    return this.#with({ mask: flag("mask(…)", on) });
  }

  /** The form of the placeholder, for clients that check it: `sk-ant-*`. */
  format(format: string): SecretBuilder {
    return this.#with({ format: argument(`format(${quote(format)})`, () => readFormat(format)) });
  }

  /**
   * An OAuth token endpoint on these hosts: the guest gets placeholders of the tokens in what it answers,
   * which are good for the hosts of this secret. `hosts`: those of them that have the endpoint; all when
   * left out.
   */
  tokens(path: string | readonly string[], ...hosts: readonly string[]): SecretBuilder {
    for (const one of typeof path === "string" ? [path] : path) {
      argument(`tokens(${quote(one)})`, () => readPathPrefix(one));
    }
    return this.#with({ tokens: { path, ...(hosts.length === 0 ? {} : { hosts }) } });
  }

  /**
   * A pair of AWS keys, whose variables begin with the secret's name: `AWS` for `AWS_ACCESS_KEY_ID`,
   * `AWS_SECRET_ACCESS_KEY` and, where there is one, `AWS_SESSION_TOKEN`. Requests that the guest signed
   * with their placeholders are signed again. The source is the beginning of three variables, a file of
   * shared credentials, or prints what a `credential_process` prints.
   */
  aws(options: AwsOptions = {}): SecretBuilder {
    const aws = optionsOf("aws(…)", options, { profile: true, regions: true, services: true });
    return this.#with({ aws });
  }

  /** The secret of this name. */
  build(name: string): BuiltSecret {
    const { source, value, hosts, places, headers, methods = [], tokens, aws, ...given } =
      this.#calls;
    const call = `secret(${quote(name)})`;
    if (hosts.length === 0) {
      throw misuse(call, "no host is named that gets it", {
        hint: 'call hosts("api.example.com")',
        code: "SECRET_INVALID",
      });
    }
    const secret = argument(call, () =>
      readSecretEntry({
        ...given,
        name,
        hosts: [...hosts],
        ...(places === undefined ? {} : { places: [...places] }),
        ...(headers === undefined
          ? {}
          : { headers: typeof headers === "string" ? headers : [...headers] }),
        ...(methods.length === 0 ? {} : { methods: [...methods] }),
        ...(tokens === undefined ? {} : { tokens: plain(tokens) }),
        ...(aws === undefined ? {} : { aws: pairShape(aws) }),
      }));
    return {
      secret: source === undefined ? secret : { ...secret, source },
      ...(value === undefined ? {} : { value }),
    };
  }

  #source(kind: SourceKind, rest: string): SecretBuilder {
    const call = { env: "env", file: "file", cmd: "command", keychain: "keychain" }[kind];
    const source = argument(`${call}(…)`, () => readSource(`${kind}:${text(`${call}(…)`, rest)}`));
    const { value: _, ...calls } = this.#calls;
    return new SecretBuilder({ ...calls, source });
  }

  #with(calls: Partial<Calls>): SecretBuilder {
    return new SecretBuilder({ ...this.#calls, ...calls });
  }
}

function plain({ path, hosts }: NonNullable<Calls["tokens"]>) {
  return {
    path: typeof path === "string" ? path : [...path],
    ...(hosts === undefined ? {} : { hosts: [...hosts] }),
  };
}

function pairShape({ profile, regions, services }: AwsOptions): SecretShape["aws"] {
  return {
    ...(profile === undefined ? {} : { profile }),
    ...(regions === undefined ? {} : { regions: [...regions] }),
    ...(services === undefined ? {} : { services: [...services] }),
  };
}

function argument<T>(call: string, read: () => T): T {
  return orMisuse(call, read, "SECRET_INVALID");
}
