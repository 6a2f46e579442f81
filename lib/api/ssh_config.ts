/**
 * How ssh, and whatever builds on it, reaches a named sandbox.
 *
 * @module
 */
import { shellWord } from "../base/shell_word.ts";
import { ownProgram } from "../host/own_program.ts";
import type { SshKeys } from "../supervise/ssh_keys.ts";
import { sshHost } from "../supervise/ssh_keys.ts";

/** What ssh has to know of a sandbox. */
export interface SshConfig {
  /** The name that ssh knows it by: `NAME.sbx`. */
  readonly host: string;
  /** Whom commands run as. */
  readonly user: string;
  /** Options of ssh, by their names in ssh_config(5). */
  readonly options: Readonly<Record<string, string>>;
}

/** The hidden command that carries one connection on its standard streams. */
const SSH_PROXY = "__ssh";

/** `user`: whom commands of the sandbox run as. */
export function sshConfigOf(name: string, user: string, keys: SshKeys): SshConfig {
  const host = sshHost(name);
  return {
    host,
    user,
    options: {
      // ssh puts the user that is asked for in the place of %r, and gives the line to a shell.
      ProxyCommand: `${[...ownProgram(), SSH_PROXY, name].map(proxyWord).join(" ")} %r`,
      HostKeyAlias: host,
      UserKnownHostsFile: configWord(keys.knownHostsFile),
      GlobalKnownHostsFile: "none",
      StrictHostKeyChecking: "yes",
      IdentityFile: configWord(keys.identityFile),
      IdentitiesOnly: "yes",
      PreferredAuthentications: "publickey",
      // Whatever other lines of the user's say for all hosts: the guest is not trusted.
      ForwardAgent: "no",
      ForwardX11: "no",
      PermitLocalCommand: "no",
      CheckHostIP: "no",
    },
  };
}

/** As a block of ssh_config(5). */
export function sshConfigText({ host, user, options }: SshConfig): string {
  const lines = Object.entries(options).map(([name, value]) => `  ${name} ${value}\n`);
  return `Host ${host}\n  HostName ${host}\n  User ${configWord(user)}\n${lines.join("")}`;
}

/** For the shell that ssh starts, after ssh has taken its % out of it. */
function proxyWord(text: string): string {
  return shellWord(text).replaceAll("%", "%%");
}

/** ssh takes quotes around a value with blanks, and expands % in paths. */
function configWord(text: string): string {
  const escaped = text.replaceAll("%", "%%");
  return /[\s"'#\\]/.test(escaped) ? `"${escaped.replace(/["\\]/g, "\\$&")}"` : escaped;
}
