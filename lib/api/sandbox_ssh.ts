/**
 * Logging in to a named sandbox over the host-guest channel, which works under every policy.
 *
 * @module
 */
import { optionsOf } from "../base/misuse.ts";
import { askBinary } from "../host/ask_binary.ts";
import { isSbxItself } from "../host/own_program.ts";
import type { SandboxProcess } from "../sandbox/process.ts";
import type { SupervisorClient } from "../supervise/client.ts";
import type { Home } from "../supervise/home.ts";
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
   * @throws SbxError `REQUIREMENT_MISSING` without ssh-keygen, `STATE_UNUSABLE`, `FILE_UNREADABLE`
   */
  async config(): Promise<SshConfig> {
    const { sshKeys } = await import("../supervise/ssh_keys.ts");
    const { name, home, user = "root" } = this.#target;
    return sshConfigOf(name, user, await sshKeys(home));
  }

  /**
   * An SSH server for one connection, which is the input and output of the process; its keys are those of
   * {@link SandboxSsh.config}.
   *
   * @throws SbxError `STOPPED`, as `config`, and as calls about files
   */
  async connect(options: SshOptions = {}): Promise<SandboxProcess> {
    const { user } = optionsOf("ssh.connect(…)", options, { user: true });
    const client = this.#target.client();
    const [{ sshKeys }, { startSshServer }] = await Promise.all([
      import("../supervise/ssh_keys.ts"),
      import("../sandbox/ssh_server.ts"),
    ]);
    const { hostKey, clientKey } = await sshKeys(this.#target.home);
    const isUsual = user === undefined || user === (this.#target.user ?? "root");
    return await startSshServer(
      // What others of the guest could write to must not run as whoever logs in.
      { fs: client.files(undefined), exec: client.exec.bind(client) },
      {
        program: await serverProgram(),
        hostKey,
        clientKey,
        ...(isUsual ? {} : { user }),
      },
    );
  }
}

/** The SSH server for guests, a file of this machine: the library carries none, and the binary does. */
async function serverProgram(): Promise<string> {
  if (!isSbxItself()) return String(await askBinary("ssh-server", []));
  const { usableAsset } = await import("../host/usable_asset.ts");
  return await usableAsset("sshd", () => {});
}
