/**
 * Options of container tools that `sbx run` does not have, and what to use here. Hands type them before
 * anybody has read a page.
 *
 * @module
 */

/** Of every command with a terminal. */
export const KEYS = "Enter and ~. end it; another key for it is --escape-char";
/** Of every command that runs one in a guest. */
export const PRIVILEGED = "leave it out: root of the guest may do everything there already";

const TABLE: Readonly<Record<string, string>> = {
  "--cap-add": "root of the guest may do everything there already",
  "--cap-drop": "run the command as another user of the guest: -u nobody",
  "--cidfile": "nothing of a guest is left to be named",
  "--cpu-shares": "give the guest fewer processors: -c 1",
  "--detach-keys": KEYS,
  "--device": "a guest sees no device of this machine",
  "--dns": "name a resolver with --dns-server ADDR",
  "--dns-search": "the guest has the search domains of this machine, unless --dns-server is given",
  "--entrypoint": "there are no images: the command stands at the end, sbx run -- CMD",
  "--expose": "publish a port with -p PORT",
  "--gpus": "a guest sees no device of this machine",
  "--init": "leave it out: the guest's first process takes care of those without a parent",
  "--ip": "every guest has the same addresses, in a network of its own",
  "--ipc": "a guest shares nothing with this machine",
  "--label": "leave it out: nothing of a guest is left to be named",
  "--link": "guests do not see each other: lead a port to one with -p, and --allow it to the other",
  "--mount": "write -v HOST:GUEST, with :ro for read-only",
  "--net": "write --no-net for none, or choose with --policy",
  "--network": "write --no-net for none, or choose with --policy",
  "--pid": "a guest shares nothing with this machine",
  "--platform": "leave it out: the guest has this machine's architecture",
  "--privileged": PRIVILEGED,
  "--publish-all": "publish each port with -p PORT",
  "--pull": "unpack the image into a directory, and give it with --root DIR",
  "--read-only":
    "mount with :ro what is to stay; what else the guest writes is its own and goes with it",
  "--rootfs": "write --root DIR",
  "--security-opt": "leave it out: the guest is a machine of its own",
  "--shm-size": "/dev/shm is half of the guest's memory: give it more with -m",
  "--stop-signal": "send the signal to sbx, which passes it on",
  "--stop-timeout": "leave it out: a command that is ended has two seconds",
  "--storage-opt": "give the guest a disk to write to: --disk 20G",
  "--sysctl": "let the command set it: sbx run -- sh -c 'sysctl …; …'",
  "--tmpfs": "leave it out: without --disk, all that is not mounted is in the guest's memory",
  "--ulimit": "let the command set it: sbx run -- sh -c 'ulimit -n 4096; …'",
  "--userns": "leave it out: the guest is a machine of its own",
  "--volumes-from": "mount each directory with -v HOST:GUEST",
};

const SHORT: Readonly<Record<string, string>> = {
  "-P": "--publish-all",
  "-l": "--label",
};

/** What to use in an option's place; undefined for one that no other tool has. */
export function habitHint(option: string): string | undefined {
  const typed = firstOption(option);
  const name = Object.hasOwn(SHORT, typed) ? SHORT[typed] ?? typed : typed;
  return Object.hasOwn(TABLE, name) ? TABLE[name] : undefined;
}

/** `-Pit` is a `-P` first. */
export function firstOption(option: string): string {
  return option.startsWith("--") ? option : option.slice(0, 2);
}

/** The options that are known here, for a test of all. */
export const HABITS: readonly string[] = [...Object.keys(TABLE), ...Object.keys(SHORT)];
