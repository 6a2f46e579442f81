/**
 * A guest that says of its copies what a test has it say, true or not.
 *
 * @module
 */
import { afterAll } from "bun:test";
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import {
  asData,
  encodeEnd,
  encodeEntry,
  type EntryType,
  RECORD_HEAD,
  type TreeEntry,
} from "../../../lib/guest/agent/tree_record.ts";
import type { FileGuest } from "../../../lib/guest/files.ts";
import type { ApplyChangesOptions, ApplyReport } from "../../../lib/sandbox/changes/change.ts";
import { walkBase } from "../../../lib/sandbox/changes/base_walk.ts";
import { Copies } from "../../../lib/sandbox/changes/copies.ts";
import { Lifetime } from "../../../lib/sandbox/lifetime.ts";

/** What the guest has at a path: content of a file, or something else. */
export type Told = string | Partial<TreeEntry> & { readonly type: EntryType };

/** By path, in the order in which it is told. */
export type Tale = Readonly<Record<string, Told>>;

export function encoded(name: string | Buffer, entry: Partial<TreeEntry>): Uint8Array {
  return encodeEntry({
    type: "file",
    mode: entry.type === "directory" ? 0o755 : 0o644,
    size: 0,
    mtimeNs: 0n,
    uid: 0,
    gid: 0,
    id: 0,
    target: Buffer.alloc(0),
    ...entry,
    name: Buffer.from(name as string),
  });
}

export function dataOf(bytes: Uint8Array): Uint8Array {
  const room = Buffer.concat([Buffer.alloc(RECORD_HEAD), bytes]);
  return Uint8Array.from(asData(room, bytes.length));
}

/** The list of changes that a tale makes. */
export function listOf(tale: Tale): Uint8Array {
  return Buffer.concat([
    encoded("", { type: "directory" }),
    ...Object.entries(tale).flatMap(([name, told]) => {
      if (typeof told !== "string") return [encoded(name, told)];
      const digest = createHash("sha256").update(told).digest();
      return [encoded(name, { size: Buffer.byteLength(told) }), dataOf(digest)];
    }),
    encodeEnd(),
  ]);
}

export interface Lies {
  /** In the place of the list. */
  readonly list?: Uint8Array;
  /** In the place of what a file was said to hold, by its path. */
  readonly content?: Readonly<Record<string, string>>;
  /** In the place of all that is asked for. */
  readonly taken?: Uint8Array;
  /** Called when content is asked for. */
  readonly meanwhile?: () => void;
}

/** A guest with that story. */
export function toldGuest(tale: Tale, lies: Lies = {}): FileGuest {
  return {
    files(request) {
      const names: Buffer[] = [];
      const asked = Promise.withResolvers<void>();
      const input = new WritableStream<Uint8Array>({
        write: (bytes) => void names.push(Buffer.from(bytes)),
        close: asked.resolve,
      });
      const answer = async () => {
        if (request.method === "changes") return lies.list ?? listOf(tale);
        await asked.promise;
        lies.meanwhile?.();
        return lies.taken ?? contentOf(Buffer.concat(names).toString(), tale, lies);
      };
      const output = new ReadableStream<Uint8Array>({
        async pull(controller) {
          controller.enqueue(await answer());
          controller.close();
        },
      });
      return { input, output, done: Promise.resolve({}), giveUp() {} };
    },
  };
}

function contentOf(names: string, tale: Tale, { content = {} }: Lies): Uint8Array {
  const files = names.split("\0").slice(0, -1).flatMap((name) => {
    const text = content[name] ?? tale[name];
    if (typeof text !== "string") return [encoded(name, { type: "other" })];
    const bytes = Buffer.from(text);
    return [encoded(name, {}), ...(bytes.length === 0 ? [] : [dataOf(bytes)])];
  });
  return Buffer.concat([encoded("", { type: "directory" }), ...files, encodeEnd()]);
}

/** Files of this machine, by path. */
export function plant(top: string, files: Readonly<Record<string, string>>): void {
  mkdirSync(top, { recursive: true });
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(top, path)), { recursive: true });
    writeFileSync(join(top, path), text, { mode: 0o644 });
  }
}

/** A directory for the tests of a file, of which nothing is left after the last. */
export function ownDirectory(): string {
  const own = mkdtempSync(`${tmpdir()}/sbx-changes-`);
  afterAll(() => rmSync(own, { recursive: true, force: true }));
  return own;
}

/** A directory to be copied, in one of its own beside a file that no copy may reach. */
export function plantTop(base: string): { readonly home: string; readonly top: string } {
  const home = mkdtempSync(`${base}/`);
  const top = join(home, "top");
  plant(top, { "file": "here\n", "src/main": "here\n", "src/deep/inner": "here\n" });
  writeFileSync(join(home, "secret"), "secret");
  return { home, top };
}

/** What becomes of a directory with a guest of that story. */
export async function applied(
  top: string,
  tale: Tale,
  options: ApplyChangesOptions = {},
  lies: Lies = {},
) {
  return told(await (await copiesOf(top, toldGuest(tale, lies))).apply(options));
}

/** The copies of a sandbox that has one, of a directory as it is now. */
export async function copiesOf(
  host: string,
  guest: FileGuest,
  at = "/work",
): Promise<Copies> {
  return new Copies({
    guest,
    lifetime: new Lifetime(),
    copies: [{ host, guest: at, base: await walkBase(host), mounted: ["mounted/here"] }],
    keep: () => Promise.resolve(),
  });
}

/** All of a tree, a line for each path; names that a copy leaves behind included. */
export function stateOf(directory: string): string[] {
  return (readdirSync(directory, { recursive: true }) as string[]).sort().map((path) => {
    const at = join(directory, path);
    const info = lstatSync(at);
    if (info.isSymbolicLink()) return `${path} → ${readlinkSync(at)}`;
    return info.isDirectory() ? `${path}/` : `${path}: ${readFileSync(at, "utf8").trim()}`;
  });
}

/** A report in a line for each path. */
export const told = ({ applied, held, failed }: ApplyReport) => ({
  applied: applied.map(({ kind, path }) => `${kind} ${path}`),
  held: held.map(({ path, held }) => `${held} ${path}`),
  failed: failed.map(({ change, message }) => `${change.path}: ${message}`),
});

export const directory = { type: "directory" } as const;
export const whole = { type: "directory", id: 1 } as const;
export const gone = { type: "gone" } as const;
export const link = (target: string) => ({ type: "symlink", target: Buffer.from(target) }) as const;
