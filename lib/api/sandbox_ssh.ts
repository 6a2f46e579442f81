/**
 * Logging in to a named sandbox over the host-guest channel, which works under every policy.
 *
 * @module
 */
import { optionsOf } from "../base/misuse.ts";
import { untilAborted } from "../base/until.ts";
import { askBinary } from "../host/ask_binary.ts";
import { isSbxItself } from "../host/own_program.ts";
import type { SandboxProcess } from "../sandbox/process.ts";
import type { SupervisorClient } from "../supervise/client.ts";
import type { Home } from "../supervise/home.ts";
import { type Abortable, signalOf } from "./abortable.ts";
import type { SshOptions } from "./named_options.ts";
import { type SshConfig, sshConfigOf } from "./ssh_config.ts";

/** Which sandbox, and how it is reached. */
export interface SshTarget {
  readonly name: string;
  readonly home: Home;
  /** Whom commands run as; root when undefined. */
  readonly user: string | undefined;
  /** @throws SbxError STOPPED */
  readonly client: () => SupervisorClient;
}

/** What `NamedSandbox.ssh` is. */
export class SandboxSsh {
  readonly #target: SshTarget;

  /** @internal It comes from a {@link NamedSandbox}. */
  constructor(target: SshTarget) {
    this.#target = target;
  }

  /**
   * What ssh has to know. The keys are made when they are first asked for, stay with the sandbox over its
   * starts, and go with it.
   *
   * @throws SbxError `REQUIREMENT_MISSING` without ssh-keygen, `STATE_UNUSABLE`, `FILE_UNREADABLE`, and the
   * signal's reason
   */
  async config(options: Abortable = {}): Promise<SshConfig> {
    const signal = signalOf("ssh.config(…)", options);
    const { sshKeys } = await import("../supervise/ssh_keys.ts");
    const { name, home, user = "root" } = this.#target;
    return sshConfigOf(name, user, await untilAborted(sshKeys(home), signal));
  }

  /**
   * An SSH server for one connection, which is the input and output of the process; its keys are those of
   * {@link SandboxSsh.config}. Aborting `signal` gives the login up, or ends the server.
   *
   * @throws SbxError `STOPPED`, as `config`, and as calls about files
   */
  async connect(options: SshOptions = {}): Promise<SandboxProcess> {
    const { user, signal } = optionsOf("ssh.connect(…)", options, { user: true, signal: true });
    const client = this.#target.client();
    const [{ sshKeys }, { startSshServer }] = await Promise.all([
      import("../supervise/ssh_keys.ts"),
      import("../sandbox/ssh_server.ts"),
    ]);
    const { hostKey, clientKey } = await untilAborted(sshKeys(this.#target.home), signal);
    const isUsual = user === undefined || user === (this.#target.user ?? "root");
    return await startSshServer(
      // What others of the guest could write to must not run as whoever logs in.
      { fs: client.files(undefined), exec: client.exec.bind(client) },
      {
        program: await serverProgram(signal),
        hostKey,
        clientKey,
        ...(isUsual ? {} : { user }),
        ...(signal === undefined ? {} : { signal }),
      },
    );
  }
}

/** The SSH server for guests, a file of this machine: the library carries none, and the binary does. */
async function serverProgram(signal: AbortSignal | undefined): Promise<string> {
  if (!isSbxItself()) return String(await askBinary("ssh-server", [], signal));
  const { usableAsset } = await import("../host/usable_asset.ts");
  return await usableAsset("sshd", () => {});
}
