/**
 * Commands of other tools that run containers or sandboxes, and what to use here.
 *
 * @module
 */

const TABLE: Readonly<Record<string, string>> = {
  "build": "there are no images: unpack a system into a directory, and give it with --root DIR",
  "commit": "keep what is on a sandbox's disk with 'sbx snapshot NAME TAG'",
  "connect": "log in with 'sbx shell NAME' or 'sbx ssh NAME'",
  "container": "leave the word out: sbx ls, sbx rm",
  "delete": "remove it with 'sbx rm NAME'",
  "down": "end it with 'sbx stop NAME', and remove it with 'sbx rm NAME'",
  "events": "follow the journal of 'sbx run --log FILE' with 'sbx log --follow FILE'",
  "export": "copy all of it with 'sbx cp NAME:/ - > FILE'",
  "images": "there are no images: 'sbx snapshot ls' has what sandboxes can begin with",
  "import": "unpack it into a directory, and give that with --root DIR",
  "info": "ask 'sbx doctor' about this machine, 'sbx inspect NAME' about a sandbox",
  "install": "install in the guest: sbx exec NAME -- apt-get install …",
  "list": "list them with 'sbx ls'",
  "load": "unpack it into a directory, and give that with --root DIR",
  "login": "log in to a sandbox with 'sbx ssh NAME'; there is no registry",
  "network": "each sandbox has a network of its own: see 'sbx policy --help'",
  "pause": "end it with 'sbx stop NAME'; with --disk its files stay",
  "prune": "remove those that do not run with 'sbx rm NAME'; their names: sbx ls -aq",
  "pull": "there are no images: unpack a system into a directory, and give it with --root DIR",
  "push": "there are no images: copy files out with 'sbx cp'",
  "remove": "remove it with 'sbx rm NAME'",
  "rename": "make one of the other name with 'sbx fork NAME NEW', and remove the first",
  "restart": "end it and start it again: sbx stop NAME && sbx start NAME",
  "save": "keep what is on a sandbox's disk with 'sbx snapshot NAME TAG'",
  "spawn": "start one with 'sbx run -d -n NAME -- …'",
  "top": "ask in it: sbx exec NAME -- ps aux",
  "unpause": "start it with 'sbx start NAME'",
  "up": "start one with 'sbx run -d -n NAME -- …'",
  "volume": "mount directories with -v HOST:GUEST, or give a sandbox a disk with --disk SIZE",
  "wait": "wait for its command with 'sbx attach NAME', whose status is that command's",
};

/** What to use in a command's place; undefined for one that is a slip of the finger. */
export function commandHabit(name: string): string | undefined {
  return Object.hasOwn(TABLE, name) ? TABLE[name] : undefined;
}

/** The commands that are known here, for a test of all. */
export const COMMAND_HABITS: readonly string[] = Object.keys(TABLE);
