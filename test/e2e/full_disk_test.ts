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

/** The same with a guest that runs, and a job whose output the disk cannot take. */
const RUNNING = `
mount -t tmpfs -o size=8m,mode=700 none "$STATE" || exit
step() { echo "# $*"; "$SBX" "$@" 2>&1; echo "= $?"; }
step run -q -d --name up --no-net -m 256M -- sleep 1000
dd if=/dev/zero of="$STATE/fill" bs=4k 2>/dev/null
step exec up -- sh -c 'echo still there'
step exec -d up -- sh -c 'head -c 100000 /dev/zero; sleep 1000'
until "$SBX" ps up | grep -q lost; do sleep 0.2; done
step logs --job 1 up
"$SBX" ps up | grep -c '0 B, 100000 B lost'
step rm -f up
step ls -aq
`;

test("a guest goes on beside a full disk, and what its jobs print is missed aloud", async () => {
  const { status, stdout } = await run(["unshare", ...UNSHARED, "sh", "-c", RUNNING], {
    env: { SBX, STATE: state, XDG_STATE_HOME: state, XDG_CACHE_HOME: join(ROOT, ".cache/test") },
    limit: 170,
  });
  expect([status, stdout]).toEqual([
    0,
    `# run -q -d --name up --no-net -m 256M -- sleep 1000
up
= 0
# exec up -- sh -c echo still there
still there
= 0
# exec -d up -- sh -c head -c 100000 /dev/zero; sleep 1000
1
= 0
# logs --job 1 up
sbx: 100000 bytes are missing: the disk was full
= 0
1
# rm -f up
up
= 0
# ls -aq
= 0
`,
  ]);
}, 180_000);

test("what is made or started on a full disk is not, ls is true, and rm works", async () => {
  const { status, stdout } = await run(["unshare", ...UNSHARED, "sh", "-c", SCRIPT], {
    env: { SBX, STATE: state, XDG_STATE_HOME: state, XDG_CACHE_HOME: join(ROOT, ".cache/test") },
    limit: 170,
  });
  expect(status).toBe(0);
  const said = stdout.replaceAll(`${state}/sbx/sandboxes`, "KEPT").replace(/\.new-\w+/, "NEW");
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
