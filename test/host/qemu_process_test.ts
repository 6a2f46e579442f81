import { afterAll, expect, test } from "bun:test";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SbxError } from "../../lib/base/errors.ts";
import { spawnQemu } from "../../lib/host/qemu_process.ts";

const place = realpathSync(mkdtempSync(join(tmpdir(), "sbx-processes-")));
afterAll(() => rmSync(place, { recursive: true }));

/** Hands the directories on, after something happened to them. */
function hand(...directories: readonly string[]): void {
  spawnQemu({
    launcher: "/bin/true",
    argv: [],
    files: ["/dev/null"],
    directories,
    daemons: [],
    channels: 0,
    identity: { capabilities: [] },
    reads: [],
    writes: [],
    readOnly: false,
    kvm: false,
    connects: false,
  });
}

const opened = () => readdirSync("/proc/self/fd").length;

test("a directory that was replaced since it was looked at is not handed on, and nothing stays open", () => {
  const changes: readonly (readonly [what: string, change: (path: string) => void])[] = [
    ["gone", (path) => renameSync(path, `${path}.away`)],
    ["a link", (path) => {
      renameSync(path, `${path}.away`);
      symlinkSync("/etc", path);
    }],
    ["a file", (path) => {
      renameSync(path, `${path}.away`);
      writeFileSync(path, "");
    }],
    ["below a link", (path) => {
      renameSync(join(path, ".."), `${place}/moved`);
      symlinkSync("moved", join(path, ".."));
    }],
  ];
  for (const [what, change] of changes) {
    const path = join(place, what, "source");
    mkdirSync(path, { recursive: true });
    change(path);
    const before = opened();
    expect(() => hand(place, path), what).toThrow(SbxError);
    expect(() => hand(place, path), what).toThrow(/^Cannot mount /);
    expect(opened(), what).toBe(before);
  }
});
