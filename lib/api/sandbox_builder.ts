/**
 * A sandbox, call by call. Like {@link NetworkBuilder} it is immutable: each call returns a new
 * builder, so one can be kept as a pattern for many sandboxes. Nothing happens before `create`.
 *
 * @module
 */
import { SbxError } from "../base/errors.ts";
import { quote } from "../base/escape.ts";
import { parseSize } from "../base/size.ts";
import { callable, flag, misuse, optionsOf, text } from "../base/misuse.ts";
import { diskBytes } from "../guest/disk.ts";
import type { NoticeTopic } from "../guest/provider.ts";
import type { Denial } from "../journal/denials.ts";
import { requireTimeLimit, requireVariable } from "../sandbox/exec_options.ts";
import {
  DEFAULT_CPUS,
  DEFAULT_MEMORY_MIB,
  MIN_MEMORY_MIB,
  type Mount,
  type MountAs,
  type SandboxOptions,
} from "../sandbox/options.ts";
import { requireUser } from "../sandbox/user.ts";
import type { Secret } from "../policy/model/secret.ts";
import { sourceVariablesOf, variablesOf } from "../policy/model/aws_pair.ts";
import { hostnameOf, isSandboxName, NAME_HINT, requireTag } from "../supervise/sandbox_name.ts";
import type { DetachedOptions } from "./detached.ts";
import { type Abortable, signalOf } from "./abortable.ts";
import type { NamedSandbox } from "./named_sandbox.ts";
import { NetworkBuilder } from "./network_builder.ts";
import type { RunningSandbox } from "./running_sandbox.ts";
import type { SecretBuilder } from "./secret_builder.ts";

/** How a mount is shown. */
export interface MountOptions {
  /** The guest cannot write there; false when absent. */
  readonly readOnly?: boolean;
  /** Absent: both sides use the directory, and each sees what the other changes. */
  readonly as?: MountAs;
}

/** Where a disk is. */
export interface DiskOptions {
  /** The file that keeps it; relative to the working directory. Absent: the disk goes with the sandbox. */
  readonly path?: string;
}

/** What a journal says beside what happened. */
export interface JournalOptions {
  /** The program that the sandbox is for, as the first line names it. Absent: none is named. */
  readonly command?: string;
}

type Calls = Omit<SandboxOptions, "network" | "cpus" | "memoryMiB"> & {
  readonly cpus?: number;
  readonly memoryMiB?: number;
  readonly network: NetworkBuilder;
  /** Whether `name` was called. */
  readonly isNamed?: true;
};

/** What a builder has for sbx itself, which starts its own sandboxes where it stands. */
export const BEGUN: unique symbol = Symbol("begun");

/** Describes a sandbox; each call gives a new builder. */
export class SandboxBuilder {
  readonly #calls: Calls;

  /** @internal It begins with `Sandbox.builder()`. */
  constructor(calls: Calls = UNTOUCHED) {
    this.#calls = calls;
  }

  /**
   * What the sandbox is called: up to 63 letters, digits, dots, hyphens and underscores. The guest calls
   * itself the same, unless `hostname` says otherwise.
   */
  name(name: string): SandboxBuilder {
    if (!isSandboxName(text("name(…)", name))) {
      throw misuse(`name(${quote(name)})`, "not a name", { hint: NAME_HINT });
    }
    return this.#with({ name, isNamed: true });
  }

  /** A host name apart from the name, with several labels if wanted; 64 characters at most. */
  hostname(hostname: string): SandboxBuilder {
    const labels = text("hostname(…)", hostname).split(".");
    const isName = labels.every((label) => /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/i.test(label));
    if (!isName || hostname.length > 64) {
      throw misuse(`hostname(${quote(hostname)})`, "not a host name of up to 64 characters");
    }
    return this.#with({ hostname });
  }

  /** Whom commands run as: a name or number of the guest, with `:GROUP` if wanted; root when not called. */
  user(user: string): SandboxBuilder {
    requireUser(user, "user");
    return this.#with({ user });
  }

  /** Processors of the guest; 1 when not called. */
  cpus(count: number): SandboxBuilder {
    if (!Number.isInteger(count) || count < 1 || count > 255) {
      throw misuse(`cpus(${count})`, "a guest has 1 to 255 processors");
    }
    return this.#with({ cpus: count });
  }

  /**
   * Memory of the guest in MiB; 1024 when not called. The host gives it as the guest touches it, and has it back
   * some seconds after the guest needs it no more, in whole blocks of 2 MiB; what the guest caches of files it keeps.
   */
  memory(mib: number): SandboxBuilder {
    if (!Number.isInteger(mib) || mib < MIN_MEMORY_MIB) {
      throw misuse(`memory(${mib})`, `a guest needs at least ${MIN_MEMORY_MIB} MiB`);
    }
    return this.#with({ memoryMiB: mib });
  }

  /**
   * A disk for all that the guest writes outside of mounts, which otherwise takes up its memory; none when
   * not called. `size` is in bytes, or text like `"20G"`: from 128 MiB to 4 TiB, rounded up to a multiple of
   * 128 MiB. The host gives it as the guest writes, and has it back when the guest deletes.
   *
   * The disk goes with the sandbox, unless `path` names the file that keeps it. A sandbox that is
   * started with that file again finds what the first one wrote, and not what sbx itself gives: the
   * guest's name, resolver and authorities are those of each start. It may ask for a larger size, not for
   * a smaller one. Two sandboxes cannot have one disk at the same time.
   */
  disk(size: number | string, options: DiskOptions = {}): SandboxBuilder {
    const call = typeof size === "string" ? `disk(${quote(size)})` : `disk(${size})`;
    const { path } = optionsOf(call, options, { path: true });
    if (path !== undefined) text(call, path);
    const hint = "write it like 20G";
    const asked = typeof size === "string" ? parseSize(size) : size;
    if (asked === null) throw misuse(call, "not a size with a unit", { hint });
    const bytes = diskBytes(asked);
    if (bytes === undefined) throw misuse(call, "a disk has 128 MiB to 4 TiB", { hint });
    if (path === "") throw misuse(call, "the path of its file is empty");
    return this.#with({ disk: path === undefined ? { bytes } : { bytes, path } });
  }

  /**
   * Has its disk begin as a snapshot ({@link NamedSandbox.snapshot}), in a copy of its own: one that goes with the
   * sandbox, or stays with a named one. Its policy is the one that judged the network of the sandbox that the
   * snapshot is of, unless `policy` is called for another. All else is as the calls say; secrets are declared
   * again. `disk` is only called to make it larger. A named one goes on from its memory, where the snapshot has it
   * ({@link SandboxBuilder.savable}), with as many processors and as much memory unless these are called for.
   */
  from(tag: string): SandboxBuilder {
    return this.#with({ from: requireTag(text("from(…)", tag)) });
  }

  /**
   * A directory of this machine with the system that the guest runs, such as debootstrap writes, or `docker
   * export` once it is unpacked; this machine's own when not called. The directory is only read: what the guest
   * changes is in its memory, or on its disk. Files belong in the guest to the users and groups of the same
   * numbers as here. The system must be for this machine's processor.
   */
  root(directory: string): SandboxBuilder {
    if (text("root(…)", directory) === "") {
      throw misuse('root("")', "no directory is named", {
        hint: "without it, a guest has this machine's system",
      });
    }
    return this.#with({ root: directory });
  }

  /**
   * Whether the guest may go on from a template, if one is kept for its size (`Templates.build` makes
   * one); it may when not called. The guest is the same either way, save for how soon it is there.
   */
  template(wanted: boolean): SandboxBuilder {
    return this.#with({ template: flag("template(…)", wanted) });
  }

  /**
   * Makes the machine one that can be saved while it runs, so that snapshots and forks have its memory and
   * processes beside its disk. That takes a QEMU and a virtiofsd that can save one; where they cannot, a notice
   * says so, and copies have the disk alone.
   */
  savable(): SandboxBuilder {
    return this.#with({ savable: true });
  }

  /**
   * Shows a directory of the host to the guest, writable unless `readOnly`. A single file has to be
   * `readOnly`: the guest gets a copy. What `as` can say is about directories alone; a `copy` is the guest's
   * to write to, and cannot be `readOnly`.
   */
  mount(
    host: string,
    guest: string,
    options: MountOptions = {},
  ): SandboxBuilder {
    for (const path of [host, guest]) text("mount(…)", path);
    const call = `mount(${quote(host)}, ${quote(guest)})`;
    const { readOnly = false, as } = optionsOf(call, options, { readOnly: true, as: true });
    flag(call, readOnly);
    if (as !== undefined && as !== "cached" && as !== "copy") {
      throw misuse(call, `as is neither "cached" nor "copy"`);
    }
    if (readOnly && as === "copy") throw misuse(call, "it is both readOnly and a copy");
    if (host === "") throw misuse(call, "the directory of the host is empty");
    if (!guest.startsWith("/")) throw misuse(call, "the path in the guest is not absolute");
    const mount: Mount = { host, guest, readOnly, ...(as === undefined ? {} : { as }) };
    return this.#with({ mounts: [...this.#calls.mounts, mount] });
  }

  /** An environment variable for every command. */
  env(key: string, value: string): SandboxBuilder {
    requireVariable(`env(${quote(text("env(…)", key))})`, key, value);
    return this.#with({ env: { ...this.#calls.env, [key]: value } });
  }

  /** Where commands start; the guest's home directory when not called. */
  workdir(path: string): SandboxBuilder {
    if (!text("workdir(…)", path).startsWith("/")) {
      const hint =
        "it is a directory of the guest: mount this one with -v .:/work and start there with -w /work";
      throw misuse(`workdir(${quote(path)})`, "not absolute", { hint });
    }
    return this.#with({ workdir: path });
  }

  /** Time limit of each command in milliseconds; none when not called. */
  timeout(ms: number): SandboxBuilder {
    requireTimeLimit(`timeout(${ms})`, ms);
    return this.#with({ timeoutMs: ms });
  }

  /** The network: `network((n) => n.policy(NetworkPolicy.none()))`. Later calls build on earlier ones. */
  network(configure: (network: NetworkBuilder) => NetworkBuilder): SandboxBuilder {
    const network = callable("network(…)", configure)(this.#calls.network);
    if (network instanceof NetworkBuilder) return this.#with({ network });
    throw misuse("network(…)", "the function gives no builder back", {
      hint: "return what the last call gave: network((n) => n.blockDoh())",
    });
  }

  /**
   * A value that requests to its hosts get, and of which the guest has no more than a placeholder, in the
   * environment variable of this name: {@link NetworkBuilder.secret}.
   */
  secret(declaration: Secret | string): SandboxBuilder;
  /** The same, call by call. */
  secret(name: string, configure: (secret: SecretBuilder) => SecretBuilder): SandboxBuilder;
  secret(
    declared: Secret | string,
    configure?: (secret: SecretBuilder) => SecretBuilder,
  ): SandboxBuilder {
    const { network } = this.#calls;
    return this.#with({
      network: typeof declared === "string" && configure !== undefined
        ? network.secret(declared, configure)
        : network.secret(declared),
    });
  }

  /**
   * Writes what happened on the network to this file: one JSON object a line, appended. `command` is the
   * program that the sandbox is for, to be named in the first line.
   */
  journal(path: string, options: JournalOptions = {}): SandboxBuilder {
    const { command } = optionsOf("journal(…)", options, { command: true });
    return this.#with({
      journal: text("journal(…)", path),
      ...(command === undefined ? {} : { command: text("journal(…)", command) }),
    });
  }

  /**
   * Files that the values of other calls came from, such as a policy. When the guest can write to one,
   * a notice says so, because the next sandbox would read what this guest made of it. Lists and
   * certificates that the network names are known without this.
   */
  inputs(...paths: readonly string[]): SandboxBuilder {
    const read = paths.map((path) => text("inputs(…)", path));
    return this.#with({ inputs: [...this.#calls.inputs, ...read] });
  }

  /** Called for each refusal, as it happens. */
  onDenial(listener: (denial: Denial) => void): SandboxBuilder {
    return this.#with({ onDenial: callable("onDenial(…)", listener) });
  }

  /**
   * Called with each line worth telling a person; nothing is printed otherwise. The topic `emulation` is that
   * of the line which every start has where no hardware runs the guest; other lines have none.
   */
  onNotice(listener: (line: string, topic?: NoticeTopic) => void): SandboxBuilder {
    return this.#with({ onNotice: callable("onNotice(…)", listener) });
  }

  /** The plain values that `create` starts from. */
  build(): SandboxOptions {
    const { isNamed: _, ...calls } = this.#calls;
    const hostname = calls.hostname ?? hostnameOf(calls.name);
    const options = {
      cpus: DEFAULT_CPUS,
      memoryMiB: DEFAULT_MEMORY_MIB,
      ...calls,
      ...(hostname === calls.name ? {} : { hostname }),
      network: calls.network.build(),
    };
    refuseRevealed(options);
    return options;
  }

  /**
   * Starts the sandbox and resolves when commands can run in it. Aborting `signal` before that
   * rejects with the signal's reason and leaves nothing behind. The sandbox ends with this program, whatever
   * ends that.
   *
   * @throws SbxError `REQUIREMENT_MISSING`, `FILE_UNREADABLE`, `PORT_BUSY`, `DISK_BUSY`, `GUEST_START`,
   * `NETSTACK_LOST`, `SNAPSHOT_MISSING`, `FILE_NO_SPACE`
   */
  async create(options: Abortable = {}): Promise<RunningSandbox> {
    this.build(); // what is wrong of it is told before anything is looked at
    const signal = signalOf("create(…)", options);
    const values = (await this.#begun()).build();
    const { createForProgram } = await import("../supervise/program_client.ts");
    const { RunningSandbox } = await import("./running_sandbox.ts");
    return new RunningSandbox(await createForProgram(values, signal), values);
  }

  /** @internal What `create` starts, with what its snapshot brings. */
  async [BEGUN](): Promise<SandboxOptions> {
    this.build();
    return (await this.#begun()).build();
  }

  /**
   * Writes the sandbox down under its name, or one that is found for it, and starts it: it outlives this
   * program, until it is stopped. One that cannot be started is not kept.
   *
   * @throws SbxError `SANDBOX_EXISTS`, `STATE_UNUSABLE`, and as `create`; `USAGE` for secrets whose value is
   * this program's
   */
  async createDetached(options: DetachedOptions = {}): Promise<NamedSandbox> {
    const { createDetached } = await import("./detached.ts");
    const { isNamed, name } = this.#calls;
    this.build();
    const values = (await this.#begun()).build();
    return await createDetached(isNamed ? name : undefined, values, options);
  }

  /** With what its snapshot brings in the place of its tag. */
  async #begun(): Promise<SandboxBuilder> {
    const { from, ...calls } = this.#calls;
    if (from === undefined) return this;
    const { beginningOf } = await import("./snapshots.ts");
    const { policy, disk, machine } = await beginningOf(from, calls.disk);
    const { network } = calls;
    return new SandboxBuilder({
      // Its memory is that of such a machine.
      ...(machine === undefined ? {} : { ...machine, savable: true }),
      ...calls,
      disk,
      network: network.hasPolicy ? network : network.policy(policy),
    });
  }

  #with(calls: Partial<Calls>): SandboxBuilder {
    return new SandboxBuilder({ ...this.#calls, ...calls });
  }
}

/** The environment of commands must neither hide a placeholder nor hold its value. */
function refuseRevealed({ env, network: { secrets: { secrets } } }: SandboxOptions): void {
  for (const secret of secrets) {
    const own = variablesOf(secret);
    const variable = [...own, ...sourceVariablesOf(secret)]
      .find((each) => Object.hasOwn(env, each));
    if (variable === undefined) continue;
    const name = own.find((each) => each === variable) ?? secret.name;
    throw new SbxError(
      "SECRET_INVALID",
      variable === name
        ? `Cannot use secret ${name}: commands are given another ${name} in their environment`
        : `Cannot use secret ${name}: commands are given ${variable}, which has its value`,
      { hint: `do not set ${variable} for commands; they have a placeholder in ${name}` },
    );
  }
}

const UNTOUCHED: Calls = {
  name: "sandbox",
  template: true,
  mounts: [],
  env: {},
  inputs: [],
  network: new NetworkBuilder(),
};
