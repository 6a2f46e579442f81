/**
 * The command tree.
 *
 * @module
 */
import type { CommandEntry } from "./command.ts";

/** The command that shells ask; it looks at all the others. */
export const COMPLETE = "__complete";

export const COMMANDS: readonly CommandEntry[] = [
  {
    name: "run",
    summary: "run a command in a fresh guest whose every flow is judged",
    load: () => import("./run.ts"),
  },
  {
    name: "create",
    summary: "write a sandbox down, to be started when it is wanted",
    load: () => import("./sandbox/create.ts"),
  },
  {
    name: "start",
    summary: "start sandboxes that were created, or have ended",
    load: () => import("./sandbox/start.ts"),
  },
  {
    name: "stop",
    summary: "end sandboxes; they can be started again",
    load: () => import("./sandbox/stop.ts"),
  },
  {
    name: "kill",
    summary: "end sandboxes from outside, or send their commands a signal",
    load: () => import("./sandbox/kill.ts"),
  },
  {
    name: "rm",
    summary: "forget sandboxes, and all that is kept of them",
    load: () => import("./sandbox/rm.ts"),
  },
  {
    name: "ls",
    summary: "list the sandboxes, and what has become of each",
    load: () => import("./sandbox/ls.ts"),
  },
  {
    name: "snapshot",
    summary: "keep what is on the disk of a sandbox, for others to begin with",
    commands: [
      {
        name: "create",
        summary: "make one; the word create may be left out",
        isDefault: true,
        load: () => import("./sandbox/snapshot.ts").then(({ create }) => create),
      },
      {
        name: "ls",
        summary: "list them, and what they take up",
        load: () => import("./sandbox/snapshot.ts").then(({ ls }) => ls),
      },
      {
        name: "rm",
        summary: "remove some",
        load: () => import("./sandbox/snapshot.ts").then(({ rm }) => rm),
      },
    ],
  },
  {
    name: "fork",
    summary: "make another sandbox out of one, with a copy of its disk",
    load: () => import("./sandbox/fork.ts"),
  },
  {
    name: "exec",
    summary: "run a command in a sandbox that runs",
    load: () => import("./sandbox/exec.ts"),
  },
  {
    name: "shell",
    summary: "open a shell in a sandbox that runs",
    load: () => import("./sandbox/shell.ts"),
  },
  {
    name: "ps",
    summary: "list what was left running in a sandbox",
    load: () => import("./sandbox/ps.ts"),
  },
  {
    name: "attach",
    summary: "see what a job prints, and talk to it",
    load: () => import("./sandbox/attach.ts"),
  },
  {
    name: "logs",
    summary: "print what a job has printed",
    load: () => import("./sandbox/logs.ts"),
  },
  {
    name: "ssh",
    summary: "log in to a sandbox that runs, whatever its policy",
    load: () => import("./sandbox/ssh.ts"),
  },
  {
    name: "ssh-config",
    summary: "print what ssh, scp, rsync and editors need to reach sandboxes",
    load: () => import("./sandbox/ssh_config.ts"),
  },
  {
    name: "forward",
    summary: "lead ports of this machine to a sandbox for a while",
    load: () => import("./sandbox/forward.ts"),
  },
  {
    name: "cp",
    summary: "copy files between this machine and a sandbox that runs",
    load: () => import("./sandbox/cp.ts"),
  },
  {
    name: "diff",
    summary: "show what a sandbox changed in its copies of directories",
    load: () => import("./sandbox/diff.ts"),
  },
  {
    name: "apply",
    summary: "take over what a sandbox changed in its copies",
    load: () => import("./sandbox/apply.ts"),
  },
  {
    name: "port",
    summary: "publish ports of a sandbox that runs",
    commands: [
      {
        name: "add",
        summary: "lead ports of this machine to it",
        load: () => import("./sandbox/port.ts").then(({ add }) => add),
      },
      {
        name: "rm",
        summary: "close published ports, and their connections",
        load: () => import("./sandbox/port.ts").then(({ rm }) => rm),
      },
      {
        name: "ls",
        summary: "list what listens for it",
        load: () => import("./sandbox/port.ts").then(({ ls }) => ls),
      },
    ],
  },
  {
    name: "stats",
    summary: "print what sandboxes use now",
    load: () => import("./sandbox/stats.ts"),
  },
  {
    name: "inspect",
    summary: "print all that is known of a sandbox, as JSON",
    load: () => import("./sandbox/inspect.ts"),
  },
  {
    name: "init",
    summary: "write a policy file for the project in this directory",
    load: () => import("./init.ts"),
  },
  {
    name: "policy",
    summary: "show, check and explain network policies",
    commands: [
      {
        name: "show",
        summary: "print a policy as sbx understands it",
        load: () => import("./policy_show.ts"),
      },
      {
        name: "check",
        summary: "validate a policy and warn about rules that cannot do what they seem to",
        load: () => import("./policy_check.ts"),
      },
      {
        name: "apply",
        summary: "give a sandbox that runs another policy",
        load: () => import("./sandbox/policy_apply.ts"),
      },
      {
        name: "explain",
        summary: "walk one flow through the rules",
        load: () => import("./policy_explain.ts"),
      },
      {
        name: "test",
        summary: "check the expectations written in a policy file",
        // Named policy_test.ts, the test runner would take it for a test.
        load: () => import("./policy_expectations.ts"),
      },
      {
        name: "schema",
        summary: "print the JSON Schema of policy files",
        load: () => import("./policy_schema.ts"),
      },
    ],
  },
  {
    name: "ca",
    summary: "keep the certificate authority that --tls-intercept answers with",
    commands: [
      { name: "init", summary: "make and keep one", load: () => import("./ca_init.ts") },
      { name: "show", summary: "print what is kept", load: () => import("./ca_show.ts") },
      {
        name: "export",
        summary: "write its certificate, never its key",
        load: () => import("./ca_export.ts"),
      },
      {
        name: "rotate",
        summary: "replace it with a new one",
        load: () => import("./ca_rotate.ts"),
      },
      { name: "rm", summary: "remove it", load: () => import("./ca_rm.ts") },
    ],
  },
  {
    name: "secret",
    summary: "keep values for --secret NAME=keychain:NAME@HOST",
    commands: [
      {
        name: "set",
        summary: "keep a value that is typed or piped in",
        load: () => import("./secret_set.ts"),
      },
      {
        name: "ls",
        summary: "list the names of what is kept, never the values",
        load: () => import("./secret_ls.ts"),
      },
      { name: "rm", summary: "remove a value", load: () => import("./secret_rm.ts") },
    ],
  },
  {
    name: "lima",
    summary: "guests of Lima's, with every flow judged",
    commands: [
      { name: "start", summary: "start one, or make one", load: () => import("./lima/start.ts") },
      { name: "stop", summary: "power one down", load: () => import("./lima/stop.ts") },
      { name: "shell", summary: "run a command in one", load: () => import("./lima/shell.ts") },
      { name: "ls", summary: "list them", load: () => import("./lima/ls.ts") },
      { name: "rm", summary: "remove one", load: () => import("./lima/rm.ts") },
      {
        name: "driver",
        summary: "put Lima's driver in place, for limactl",
        load: () => import("./lima/driver.ts"),
      },
    ],
  },
  {
    name: "lima-guest",
    summary: "the part of Lima's driver that decides",
    isHidden: true,
    commands: [
      {
        name: "configure",
        summary: "print the instance on stdin with what a guest of sbx needs",
        load: () => import("./lima_guest/configure.ts"),
      },
      {
        name: "check",
        summary: "say whether the instance on stdin may run",
        load: () => import("./lima_guest/check.ts"),
      },
      {
        name: "run",
        summary: "run the instance on stdin until stdin ends",
        load: () => import("./lima_guest/run.ts"),
      },
      {
        name: "forget",
        summary: "forget the instance on stdin, which is about to be removed",
        load: () => import("./lima_guest/forget.ts"),
      },
      {
        name: "driver",
        summary: "print the driver's path",
        load: () => import("./lima_guest/driver.ts"),
      },
    ],
  },
  {
    name: "template",
    summary: "keep guests that have booted, for 'sbx run' to go on from",
    commands: [
      {
        name: "build",
        summary: "make one now",
        load: () => import("./template_build.ts"),
      },
      { name: "ls", summary: "list what is kept", load: () => import("./template_ls.ts") },
      { name: "rm", summary: "remove one", load: () => import("./template_rm.ts") },
      {
        name: "prune",
        summary: "remove those used the longest ago",
        load: () => import("./template_prune.ts"),
      },
    ],
  },
  {
    name: "log",
    summary: "read a journal: what the guest reached, and what was kept from it",
    load: () => import("./log.ts"),
  },
  {
    name: "doctor",
    summary: "check everything that sbx needs on this machine",
    load: () => import("./doctor.ts"),
  },
  {
    name: "completion",
    summary: "print what makes a shell complete the words of sbx",
    load: () => import("./completion.ts"),
  },
  {
    name: "update",
    summary: "say how this sbx is updated, and whether there is a newer one",
    load: () => import("./update.ts"),
  },
  {
    name: "version",
    summary: "print the versions of sbx and its components",
    load: () => import("./version.ts"),
  },
  {
    name: COMPLETE,
    summary: "print what may end a command line; asked by the scripts of sbx completion",
    isHidden: true,
    load: () => import("./complete.ts"),
  },
  {
    name: "__ssh",
    summary: "carry one SSH connection on the standard streams; asked by ssh",
    isHidden: true,
    load: () => import("./sandbox/ssh_proxy.ts"),
  },
  {
    name: "__task",
    summary: "do what the library cannot in the runtime of its program",
    isHidden: true,
    load: () => import("./task.ts"),
  },
];
