/** A disk of this machine that is full, where sandboxes are kept: what cannot be written is said, and nothing half done stays. */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { run } from "../support/process.ts";
import { ROOT, SBX } from "../support/world.ts";

const state = mkdtempSync(join(tmpdir(), "sbx-full-"));
afterAll(() => rmSync(state, { recursive: true, force: true }));

const UNSHARED = process.getuid?.() === 0 ? ["-m"] : ["-Urm"];

/** Each step with its status; what it says goes before that. */
const SCRIPT = `
mount -t tmpfs -o size=8m,mode=700 none "$STATE" || exit
step() { echo "# $*"; "$SBX" "$@" 2>&1; echo "= $?"; }
step create -q --name made --no-net -- true
dd if=/dev/zero of="$STATE/fill" bs=4k 2>/dev/null
step create -q --name never --no-net -- true
step start made
step ls -aq --filter status=created
step rm made
step ls -aq
find "$STATE/sbx/sandboxes" -mindepth 1
rm "$STATE/fill"
step create -q --name never --no-net -- true
`;

/** The same with guests that run: they have more room first. */
const RUNNING = `
mount -t tmpfs -o size=24m,mode=700 none "$STATE" || exit
step() { echo "# $*"; "$SBX" "$@" 2>&1; echo "= $?"; }
fill() { dd if=/dev/zero of="$STATE/fill" bs=4k 2>/dev/null; }
`;

/** Copies to a guest whose own disk is full, which starts again all the same, and out of one onto this machine's. */
const COPIES = `${RUNNING}
step run -q -d --name up --no-net -m 256M --disk 64M -- sleep 1000
mkdir -p "$STATE/here/tree" "$STATE/here/new"
cd "$STATE/here"
head -c 1000000 /dev/urandom > big
cp big new/b
for file in kept tree/a; do echo old > $file; done
echo new > new/a
step exec up -- sh -c 'cp /etc/hostname /root/kept; mkdir /root/tree; cp /etc/hostname /root/tree/a'
step exec up -- sh -c 'fallocate -l $(($(df --output=avail -B1 /root | tail -1) - 500000)) /root/fill'
step cp big up:/root/kept
step cp new/. up:/root/tree
step exec up -- sh -c 'cat /dev/zero > /root/rest'
step stop -t 0 up
step start up | grep -v 'said once'
step exec up -- sh -c 'rm /root/fill /root/rest; cd /root; find . -type f | sort | xargs cat /etc/hostname | uniq -c'
step cp new up:/root
fill
step cp up:/root/new/b kept
step cp up:/root/new/b fresh
step cp up:/root/new/. tree
find . -type f | sort
cat kept tree/a
cd /
step rm -f up
`;

/** What closes is closed, what would open is not, and a job prints what the disk cannot take. */
const CHANGES = `${RUNNING}
step run -q -d --name up --policy allow-all -m 256M -- sleep 1000
shown() { sed "s/$port/PORT/g"; }
port=$("$SBX" port add up 81 | sed -n 's/^127[^:]*:\\([0-9]*\\)->81$/\\1/p')
fill
step exec up -- sh -c 'echo still there'
step policy apply up public-only
step port add up 8080
step port rm up "$port" | shown
grep -c ":$(printf %04X "$port") 00000000:0000 0A" /proc/net/tcp
grep -c deny@private "$STATE/sbx/sandboxes/up/record.json"
step exec -d up -- sh -c 'head -c 100000 /dev/zero; sleep 1000'
until "$SBX" ps up | grep -q lost; do sleep 0.2; done
step logs --job 1 up
"$SBX" ps up | grep -c '0 B, 100000 B lost'
rm "$STATE/fill"
step port rm up "$port" | shown
step port rm up "$port" | shown
step policy apply up public-only
grep -c deny@private "$STATE/sbx/sandboxes/up/record.json"
grep -c '"guestPort"' "$STATE/sbx/sandboxes/up/record.json"
step rm -f up
step ls -aq
`;

const NO_SPACE = (path: string) =>
  `sbx: cannot copy to ${path} in the guest: no space left in the guest
hint: remove files in the guest, or start one with more memory or a larger disk
= 125`;

const UNWRITTEN =
  `cannot write the record of sandbox up ${state}/sbx/sandboxes/up/record.json: no space left on the device`;

const DONE = `sbx: cannot write down what was changed of sandbox up: ${UNWRITTEN}
hint: it holds now, and its next start does not know of it: free space on the disk, and do it again
= 125`;

async function says(script: string): Promise<string> {
  const { status, stdout } = await run(["unshare", ...UNSHARED, "sh", "-c", script], {
    env: { SBX, STATE: state, XDG_STATE_HOME: state, XDG_CACHE_HOME: join(ROOT, ".cache/test") },
    limit: 170,
  });
  expect(status).toBe(0);
  return stdout;
}

test(
  "copies to a guest's full disk and out onto this machine's fail whole, and it starts again",
  async () => {
    expect(await says(COPIES)).toBe(
      `# run -q -d --name up --no-net -m 256M --disk 64M -- sleep 1000
up
= 0
# exec up -- sh -c cp /etc/hostname /root/kept; mkdir /root/tree; cp /etc/hostname /root/tree/a
= 0
# exec up -- sh -c fallocate -l $(($(df --output=avail -B1 /root | tail -1) - 500000)) /root/fill
= 0
# cp big up:/root/kept
${NO_SPACE("/root/kept")}
# cp new/. up:/root/tree
${NO_SPACE("/root/tree/")}
# exec up -- sh -c cat /dev/zero > /root/rest
cat: write error: No space left on device
= 1
# stop -t 0 up
up
= 0
# start up
up
= 0
# exec up -- sh -c rm /root/fill /root/rest; cd /root; find . -type f | sort | xargs cat /etc/hostname | uniq -c
      3 up
= 0
# cp new up:/root
= 0
# cp up:/root/new/b kept
sbx: cannot copy to kept: no space left on the device
= 125
# cp up:/root/new/b fresh
sbx: cannot copy to fresh: no space left on the device
= 125
# cp up:/root/new/. tree
sbx: cannot copy to tree: no space left on the device
= 125
./big
./kept
./new/a
./new/b
./tree/a
old
old
# rm -f up
up
= 0
`,
    );
  },
  180_000,
);

test(
  "on a full disk a guest goes on, what is to close is closed, and what jobs print is missed aloud",
  async () => {
    expect(await says(CHANGES)).toBe(
      `# run -q -d --name up --policy allow-all -m 256M -- sleep 1000
up
= 0
# exec up -- sh -c echo still there
still there
= 0
# policy apply up public-only
${DONE}
# port add up 8080
sbx: cannot publish a port of sandbox up: ${UNWRITTEN}
hint: nothing was changed: do it again when this is mended
= 125
# port rm up PORT
${DONE}
0
0
# exec -d up -- sh -c head -c 100000 /dev/zero; sleep 1000
1
= 0
# logs --job 1 up
sbx: 100000 bytes are missing: the disk was full
= 0
1
# port rm up PORT
127.0.0.1:PORT->81
[::1]:PORT->81
= 0
# port rm up PORT
sbx: cannot unpublish port PORT: nothing listens there
= 125
# policy apply up public-only
the policy is the one in force
cut 0 of 0 open flows
= 0
1
0
# rm -f up
up
= 0
# ls -aq
= 0
`,
    );
  },
  180_000,
);

test("what is made or started on a full disk is not, ls is true, and rm works", async () => {
  const said = (await says(SCRIPT)).replaceAll(`${state}/sbx/sandboxes`, "KEPT").replace(
    /\.new-\w+/,
    "NEW",
  );
  expect(said).toBe(`# create -q --name made --no-net -- true
made
= 0
# create -q --name never --no-net -- true
sbx: cannot write the record of sandbox never KEPT/NEW/record.json: no space left on the device
= 125
# start made
sbx: cannot write the state of sandbox made KEPT/made/state.json: no space left on the device
= 125
# ls -aq --filter status=created
made
= 0
# rm made
made
= 0
# ls -aq
= 0
# create -q --name never --no-net -- true
never
= 0
`);
}, 180_000);
