/**
 * A sandbox, call by call. Like {@link NetworkBuilder} it is immutable: each call returns a new
 * builder, so one can be kept as a template for many sandboxes. Nothing happens before `create`.
 *
 * @module
 */
import { SbxError } from "../base/errors.ts";
import type { Denial } from "./denials.ts";
import { NetworkBuilder } from "./network_builder.ts";
import {
  DEFAULT_CPUS,
  DEFAULT_MEMORY_MIB,
  MIN_MEMORY_MIB,
  type Mount,
  type SandboxOptions,
} from "./options.ts";
import type { Sandbox } from "./sandbox.ts";

type Calls = Omit<SandboxOptions, "network"> & { readonly network: NetworkBuilder };

export class SandboxBuilder {
  readonly #calls: Calls;

  constructor(calls: Calls = UNTOUCHED) {
    this.#calls = calls;
  }

  /** The guest's host name: letters, digits and hyphens, 63 at most. */
  name(name: string): SandboxBuilder {
    if (!/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/i.test(name)) {
      throw misuse(`name(${JSON.stringify(name)})`, "not a host name of one label");
    }
    return this.#with({ name });
  }

  /** Processors of the guest; 1 when not called. */
  cpus(count: number): SandboxBuilder {
    if (!Number.isInteger(count) || count < 1 || count > 255) {
      throw misuse(`cpus(${count})`, "a guest has 1 to 255 processors");
    }
    return this.#with({ cpus: count });
  }

  /** Memory of the guest in MiB; 1024 when not called. The host gives it as the guest touches it. */
  memory(mib: number): SandboxBuilder {
    if (!Number.isInteger(mib) || mib < MIN_MEMORY_MIB) {
      throw misuse(`memory(${mib})`, `a guest needs at least ${MIN_MEMORY_MIB} MiB`);
    }
    return this.#with({ memoryMiB: mib });
  }

  /** Shows a directory of the host to the guest, writable unless `readOnly`. */
  mount(
    host: string,
    guest: string,
    options: { readonly readOnly?: boolean } = {},
  ): SandboxBuilder {
    const call = `mount(${JSON.stringify(host)}, ${JSON.stringify(guest)})`;
    if (host === "") throw misuse(call, "the directory of the host is empty");
    if (!guest.startsWith("/")) throw misuse(call, "the path in the guest is not absolute");
    const mount: Mount = { host, guest, readOnly: options.readOnly ?? false };
    return this.#with({ mounts: [...this.#calls.mounts, mount] });
  }

  /** An environment variable for every command. */
  env(key: string, value: string): SandboxBuilder {
    if (key === "" || /[=\0]/.test(key) || value.includes("\0")) {
      throw misuse(
        `env(${JSON.stringify(key)})`,
        "not a name and value that an environment can hold",
      );
    }
    return this.#with({ env: { ...this.#calls.env, [key]: value } });
  }

  /** Where commands start; the guest's home directory when not called. */
  workdir(path: string): SandboxBuilder {
    if (!path.startsWith("/")) throw misuse(`workdir(${JSON.stringify(path)})`, "not absolute");
    return this.#with({ workdir: path });
  }

  /** Time limit of each command in milliseconds; none when not called. */
  timeout(ms: number): SandboxBuilder {
    if (!(ms > 0)) throw misuse(`timeout(${ms})`, "must be more than nothing");
    return this.#with({ timeoutMs: ms });
  }

  /** The network: `network((n) => n.policy(NetworkPolicy.none()))`. Later calls build on earlier ones. */
  network(configure: (network: NetworkBuilder) => NetworkBuilder): SandboxBuilder {
    return this.#with({ network: configure(this.#calls.network) });
  }

  /** Writes what happened on the network to this file: one JSON object a line, appended. */
  journal(path: string): SandboxBuilder {
    return this.#with({ journal: path });
  }

  /** Called for each refusal, as it happens. */
  onDenial(listener: (denial: Denial) => void): SandboxBuilder {
    return this.#with({ onDenial: listener });
  }

  /** Called with each line worth telling a person; nothing is printed otherwise. */
  onNotice(listener: (line: string) => void): SandboxBuilder {
    return this.#with({ onNotice: listener });
  }

  /** The plain values that `create` starts from. */
  build(): SandboxOptions {
    return { ...this.#calls, network: this.#calls.network.build() };
  }

  /**
   * Starts the sandbox and resolves when commands can run in it. Aborting `signal` before that
   * rejects with the signal's reason and leaves nothing behind.
   *
   * @throws SbxError `REQUIREMENT_MISSING`, `FILE_UNREADABLE`, `PORT_BUSY`, `GUEST_START`,
   * `NETSTACK_LOST`
   */
  async create(options: { readonly signal?: AbortSignal } = {}): Promise<Sandbox> {
    const values = this.build();
    const { start } = await import("./start.ts");
    return await start(values, options.signal);
  }

  #with(calls: Partial<Calls>): SandboxBuilder {
    return new SandboxBuilder({ ...this.#calls, ...calls });
  }
}

const UNTOUCHED: Calls = {
  name: "sandbox",
  cpus: DEFAULT_CPUS,
  memoryMiB: DEFAULT_MEMORY_MIB,
  mounts: [],
  env: {},
  network: new NetworkBuilder(),
};

function misuse(call: string, state: string): SbxError {
  return new SbxError("USAGE", `Cannot use ${call}: ${state}`);
}
