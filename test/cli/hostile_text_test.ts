/**
 * Whatever a file, an argument or a name holds, the message about it is one line of bounded length that does
 * nothing to a terminal, and says no secret.
 */
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parsePublications } from "../../lib/cli/publications.ts";
import { SbxError } from "../../lib/base/errors.ts";
import { isShowable, MAX_MESSAGE } from "../../lib/base/escape.ts";
import { readTextFile } from "../../lib/base/text_file.ts";
import { parseEnvFile } from "../../lib/cli/env_file.ts";
import { resolvePolicy } from "../../lib/cli/policy_argument.ts";
import {
  parseAssignment,
  parseCount,
  parseDuration,
  parseMemory,
  parseMount,
} from "../../lib/cli/values.ts";
import { openJournal } from "../../lib/journal/file.ts";
import { CertificateAuthority, Destination, Sandbox } from "../../lib/mod.ts";
import { parsePolicyFile } from "../../lib/policy/file/load.ts";
import { readNameList } from "../../lib/policy/model/name_list.ts";
import { NameSet } from "../../lib/policy/model/name_set.ts";
import { parseFlow } from "../../lib/policy/text/flow_text.ts";
import { parseRule, parseShortRule } from "../../lib/policy/text/grammar.ts";
import { resolveMounts } from "../../lib/sandbox/mounts.ts";
import { parseAuthority } from "../../lib/tls/authority/pem.ts";
import { run } from "../support/process.ts";
import { SBX } from "../support/world.ts";

const directory = mkdtempSync(join(tmpdir(), "sbx-hostile-text-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const TEXTS: Readonly<Record<string, string>> = {
  "an escape sequence": "a\x1b[2J\x1b]0;title\x07b",
  "C1 controls": "a\x9b2J\x85b",
  "a forged line": "a\r\nsbx: all is well\n",
  "the other direction": "a\u202egnp\u2066\u061cb",
  "what nobody sees": "a\u200b\u2060\ufe0f\u{e0061}\u{e0100}\u115f\u3164\uffa0\u034f\u180e\u00adb",
  "blanks that are none": "a\u00a0\u2003\u2800b",
  "lines and halves": "a\u2028\u2029\ud83db",
  "a megabyte": "x".repeat(1 << 20),
  "a megabyte of sequences": "\x1b[2J".repeat(1 << 18),
  "quotation marks": '"\'`\\"${}',
};

/** Each is given a text; it may refuse by an SbxError, or find nothing wrong. */
const READERS: Readonly<Record<string, (text: string) => unknown>> = {
  "a policy's key in JSON": (text) => policy({ default: "deny", [text]: 1 }),
  "a policy's key twice": (text) => {
    const key = JSON.stringify(text);
    return parsePolicyFile(`{${key}: 1, ${key}: 2}`, "p.json");
  },
  "a policy's word": (text) => policy({ default: text }),
  "a policy as a text": (text) => parsePolicyFile(JSON.stringify(text), "p.json"),
  "a policy's preset": (text) => policy({ extends: text }),
  "a policy's rule": (text) => policy({ default: "deny", rules: [text] }),
  "a policy's rule with a port": (text) =>
    policy({ default: "deny", rules: [`allow@a.test:tcp:${text}`] }),
  "a policy's spelt rule": (text) =>
    policy({ default: "deny", rules: [{ action: text, destination: { domain: text } }] }),
  "a policy's destination": (text) =>
    policy({ default: "deny", rules: [{ action: "allow", destination: { suffix: text } }] }),
  "a policy's unknown destination": (text) =>
    policy({ default: "deny", rules: [{ action: "allow", destination: { [text]: text } }] }),
  "a policy's blocked name": (text) => policy({ default: "deny", dns: { block: [text] } }),
  "a policy's resolver": (text) => policy({ default: "deny", dns: { servers: [text] } }),
  "a policy's bypass": (text) =>
    policy({ default: "deny", tls: { intercept: true, bypass: [text], noVerify: [text] } }),
  "a policy's expectation": (text) => policy({ default: "deny", expect: [text] }),
  "a policy's number": (text) => policy({ default: "deny", maxConnections: text }),
  "a policy's list": (text) => policy({ default: "deny", rules: text }),
  "YAML as it comes": (text) => parsePolicyFile(text, "p.yaml"),
  "YAML's alias": (text) => parsePolicyFile(`default: *${text}\n`, "p.yaml"),
  "YAML's anchor": (text) => parsePolicyFile(`default: &${text} *${text}\n`, "p.yaml"),
  "YAML's tag": (text) => parsePolicyFile(`default: !${text} deny\n`, "p.yaml"),
  "YAML's directive": (text) => parsePolicyFile(`%${text} 1\n---\ndefault: deny\n`, "p.yaml"),
  "YAML's key": (text) => parsePolicyFile(`? ${JSON.stringify(text)}\n: 1\n`, "p.yaml"),
  "JSON as it comes": (text) => parsePolicyFile(`{${text}`, "p.json"),
  "a policy's path": (text) => parsePolicyFile("nonsense: 1", text),
  "a policy argument": (text) => resolvePolicy(text),
  "a rule": parseRule,
  "an allowed target": (text) => parseShortRule("allow", text),
  "an allowed URL": (text) => parseShortRule("allow", `https://${text}/`),
  "a flow": parseFlow,
  "a flow's port": (text) => parseFlow(`tcp://a.test:${text}`),
  "a destination": (text) =>
    [
      () => Destination.domain(text),
      () => Destination.domainSuffix(text),
      () => Destination.cidr(text),
    ].forEach(attempt),
  "an environment file": (text) => parseEnvFile(`${text} =hunter2`, ".env", {}),
  "an environment file's path": (text) => parseEnvFile("=hunter2", text, {}),
  "an assignment": (text) => parseAssignment("--env", `${text} =hunter2`, {}),
  "a name list": (text) =>
    readNameList(`fine.test\n${text} .\n`, "list.txt", "name", new NameSet()),
  "a name list's path": (text) => readNameList("not a name", text, "name", new NameSet()),
  "a file's path": (text) => readTextFile("read policy", join(directory, text)),
  "a journal's path": (text) => openJournal(join(directory, "none", text)),
  "a certificate's path": (text) =>
    pem("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", text),
  "a certificate": (text) => pem(text, "cert.pem"),
  "an authority's name": (text) => CertificateAuthority.init({ name: `${text}\x00` }),
  "memory": parseMemory,
  "a duration": (text) => parseDuration("--timeout", text),
  "a count": (text) => parseCount("--cpus", text),
  "a publication": parsePublications,
  "a publication's address": (text) => parsePublications(`${text}:80:80`),
  "a mount": parseMount,
  "a mount's source": (text) => resolveMounts([{ host: text, guest: "/x", readOnly: true }]),
  "a mount's place": (text) =>
    resolveMounts([{ host: "/", guest: `/proc/${text}`, readOnly: true }]),
  "a mount twice": (text) =>
    resolveMounts([1, 2].map(() => ({ host: directory, guest: `/${text}`, readOnly: true }))),
  "the builder": (text) => {
    const builder = Sandbox.builder();
    const calls: readonly (() => unknown)[] = [
      () => builder.name(text),
      () => builder.workdir(text),
      () => builder.env(`${text}=`, "hunter2"),
      () => builder.env(text, "hunter2\0"),
      () => builder.mount(text, text),
      () => builder.network((network) => network.blockDomain(text)),
      () => builder.network((network) => network.blockDomainSuffix(text)),
      () => builder.network((network) => network.dnsServers([text])),
      () => builder.network((network) => network.allow(text)),
      () => builder.network((network) => network.rule(text)),
      () => builder.network((network) => network.tls((tls) => tls.bypass(text))),
      () =>
        builder.network((network) =>
          network.publish({ bind: text, hostPort: 1, guestPort: 1, protocol: "tcp" })
        ),
    ];
    for (const call of calls) attempt(call);
  },
};

function policy(value: object): unknown {
  return parsePolicyFile(JSON.stringify(value), "p.json");
}

function pem(text: string, path: string): unknown {
  const file = { path, text };
  return parseAuthority(file, file);
}

let seen: SbxError[] = [];

function attempt(call: () => unknown): void {
  try {
    call();
  } catch (error) {
    note(error);
  }
}

function note(error: unknown): void {
  if (!(error instanceof SbxError)) throw error;
  seen.push(error);
}

describe.each(Object.keys(READERS))("%s", (reader) => {
  test.each(Object.keys(TEXTS))("with %s", async (kind) => {
    seen = [];
    try {
      await READERS[reader]?.(TEXTS[kind] ?? "");
    } catch (error) {
      note(error);
    }
    for (const { message, hint = "" } of seen) {
      for (const text of [message, hint]) {
        expect({ text, showable: isShowable(text) }).toEqual({ text, showable: true });
        expect(text).not.toContain("\n");
        expect(text).not.toContain("hunter2");
        expect(text.length).toBeLessThanOrEqual(MAX_MESSAGE + 1);
      }
      // Whoever cut it cut the text of others, not what is wrong with it.
      expect(message).toMatch(/^Cannot [^]*: [^]*[^…]$/);
    }
  });
});

test("a secret that was given as something else is not in the message", () => {
  const secret = "hunter2-hunter2";
  for (const text of [`${secret}`, `${secret} ${secret}`, `API_KEY=${secret}`]) {
    attempt(() => parsePolicyFile(text, "p.yaml"));
    attempt(() => parsePolicyFile(JSON.stringify(text), "p.json"));
    attempt(() => parseEnvFile(`A=1\n ${text} x\n=${text}`, ".env", {}));
  }
  for (const { message, hint } of seen) expect(`${message}${hint}`).not.toContain(secret);
});

test("the binary says nothing to a terminal that it was told to by an argument or a file", async () => {
  const hostile = `\x1b]0;x\x07\u202e\u{e0061}${"y".repeat(100_000)}`;
  writeFileSync(
    join(directory, "show.yaml"),
    `default: deny\ndns: {block: ["@${"\\u202e\\x9b"}"]}\n`,
  );
  const commands: readonly (readonly string[])[] = [
    [hostile],
    ["run", `--${hostile}`],
    ["run", "--policy", hostile, "--", "true"],
    ["run", "--no-net", "-v", `${hostile}:/x`, "--", "true"],
    ["run", "--no-net", "--log", `/none/${hostile}`, "--", "true"],
    ["run", "--env-file", hostile, "--", "true"],
    ["policy", "explain", hostile],
    ["policy", "explain", "public-only", `tcp://${hostile}:1`],
    ["policy", "show", join(directory, "show.yaml")],
    ["policy", "show", "--json", join(directory, "show.yaml")],
    ["policy", "check", join(directory, "show.yaml")],
    ["ca", "init", "--name", hostile],
  ];
  for (const argv of commands) {
    const { stdout, stderr } = await run([SBX, ...argv], { cwd: directory });
    for (const text of [stdout, stderr]) {
      expect({ argv: argv[0], text, showable: isShowable(text) }).toMatchObject({ showable: true });
      expect(text.length).toBeLessThan(3 * MAX_MESSAGE);
    }
    expect(stderr).not.toContain("internal error");
  }
});
