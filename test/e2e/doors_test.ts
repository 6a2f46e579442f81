/** Ways into a sandbox without a network: ssh and what builds on it, and forwarded ports. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "../support/free_port.ts";
import { run, type RunOptions, start, until } from "../support/process.ts";
import { ROOT, SBX } from "../support/world.ts";

const LIMIT = 180;

let scratch: string;
let env: Record<string, string>;
const sbx = (argv: readonly string[], options: RunOptions = {}) => inEnv([SBX, ...argv], options);
const inEnv = (argv: readonly string[], options: RunOptions = {}) =>
  run(argv, { limit: LIMIT, cwd: scratch, ...options, env: { ...env, ...options.env } });

beforeAll(async () => {
  scratch = mkdtempSync(join(tmpdir(), "sbx-doors-"));
  env = { XDG_STATE_HOME: join(scratch, "state"), XDG_CACHE_HOME: join(ROOT, ".cache/test") };
  const made = await sbx(["run", "-d", "-q", "--no-net", "-n", "dev", "--", "sleep", "100000"]);
  expect(made).toMatchObject({ status: 0, stderr: "" });
  const config = await sbx(["ssh-config", "dev"]);
  expect(config).toMatchObject({ status: 0, stderr: "" });
  writeFileSync(join(scratch, "config"), config.stdout);
});
afterAll(async () => {
  await sbx(["rm", "--force", "dev"]);
  rmSync(scratch, { recursive: true, force: true });
});

const ssh = (argv: readonly string[], options: RunOptions = {}) =>
  inEnv(["ssh", "-F", "config", ...argv], options);

describe("ssh", () => {
  test("a command has its words, streams, status and user", async () => {
    expect(await sbx(["ssh", "dev", "cat; echo bad >&2; exit", "7"], { stdin: "typed" }))
      .toMatchObject({ status: 7, stdout: "typed", stderr: "bad\n" });
    expect(await sbx(["ssh", "dev", "--", "id", "-u", "&&", "pwd"]))
      .toMatchObject({ status: 0, stdout: "0\n/root\n" });
    expect(await sbx(["ssh", "games@dev", "true"])).toMatchObject({ status: 1 }); // it has no shell
    expect(await sbx(["ssh", "-u", "12345", "dev", "id -u"]))
      .toMatchObject({ status: 0, stdout: "12345\n" });
    const unknown = await sbx(["ssh", "-l", "no-such-user", "dev", "true"]);
    expect(unknown.status).toBe(255);
    expect(unknown.stderr).toContain("no user no-such-user in the guest");
  });

  test("its terminal is one", async () => {
    const shown = await sbx(["ssh", "-t", "dev", "test -t 0 && echo a terminal"]);
    expect(shown.stdout).toBe("a terminal\r\n");
  });

  test("a megabyte passes both ways, and what is killed says by what", async () => {
    const content = randomBytes(1 << 20);
    const { bytes } = await ssh(["dev.sbx", "cat"], { stdin: content });
    expect(Buffer.compare(bytes, content)).toBe(0);
    expect(await ssh(["dev.sbx", "kill -9 $$"])).toMatchObject({ status: 255 });
  });

  test("the keys of another sandbox, and no keys, open nothing", async () => {
    const other = join(scratch, "other");
    await inEnv(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", other]);
    const refused = await ssh([
      "-o",
      `IdentityFile=${other}`,
      "-i",
      other,
      "-F",
      "none",
      ...asDev(),
    ]);
    expect(refused.status).toBe(255);
    expect(refused.stderr).toContain("Permission denied (publickey)");
    const unnamed = await ssh(["-F", "none", "-o", "UserKnownHostsFile=/dev/null", ...asDev()]);
    expect(unnamed.stderr).toContain("Host key verification failed");
  });

  test("the keys are the sandbox's own, and stay with it", async () => {
    const place = join(scratch, "state/sbx/sandboxes/dev/ssh");
    for (const name of ["host", "client"]) expect(statSync(join(place, name)).mode & 0o077).toBe(0);
    const before = readFileSync(join(place, "known_hosts"), "utf8");
    expect(await sbx(["create", "-n", "second", "--no-net"])).toMatchObject({ status: 0 });
    await sbx(["ssh-config", "second"]);
    const second = readFileSync(join(place, "../../second/ssh/known_hosts"), "utf8");
    await sbx(["rm", "second"]);
    await sbx(["stop", "-t", "0", "dev"]);
    const stopped = await sbx(["ssh", "dev", "true"]);
    expect(stopped).toMatchObject({
      status: 125,
      stderr:
        "sbx: cannot log in to sandbox dev: it is not running\nhint: start it with 'sbx start dev'\n",
    });
    await sbx(["start", "dev"]);
    expect(await ssh(["dev.sbx", "true"])).toMatchObject({ status: 0 });
    expect(readFileSync(join(place, "known_hosts"), "utf8")).toBe(before);
    expect(second.split(" ")[2]).not.toBe(before.split(" ")[2]);
  });
});

/** What leads to the sandbox, without its keys. */
function asDev(): string[] {
  const proxy = /^ {2}ProxyCommand (.*)$/m.exec(readFileSync(join(scratch, "config"), "utf8"));
  return [
    "-o",
    "StrictHostKeyChecking=yes",
    "-o",
    "IdentitiesOnly=yes",
    "-o",
    "BatchMode=yes",
    "-o",
    `ProxyCommand=${proxy?.[1] ?? ""}`,
    "-o",
    `UserKnownHostsFile=${join(scratch, "state/sbx/sandboxes/dev/ssh/known_hosts")}`,
    "root@dev.sbx",
    "true",
  ];
}

describe("what builds on ssh", () => {
  test("scp and sftp carry files both ways", async () => {
    const content = randomBytes(300_000);
    writeFileSync(join(scratch, "there"), content);
    expect(await inEnv(["scp", "-q", "-F", "config", "there", "dev.sbx:/root/"]))
      .toMatchObject({ status: 0 });
    const got = await inEnv(["sftp", "-q", "-b", "-", "-F", "config", "dev.sbx"], {
      stdin: "get /root/there back\n",
    });
    expect(got.status).toBe(0);
    expect(Buffer.compare(readFileSync(join(scratch, "back")), content)).toBe(0);
  });

  test("rsync carries a tree both ways, and only what changed", async () => {
    mkdirSync(join(scratch, "tree/below"), { recursive: true });
    for (const name of ["a", "below/b"]) writeFileSync(join(scratch, "tree", name), name);
    const rsync = (from: string, to: string) =>
      inEnv(["rsync", "-ai", "-e", `${SBX} ssh`, from, to]);
    expect(await rsync("tree/", "dev:/srv/tree/")).toMatchObject({ status: 0, stderr: "" });
    expect(await rsync("dev:/srv/tree/", "tree.back/")).toMatchObject({ status: 0, stderr: "" });
    expect(readFileSync(join(scratch, "tree.back/below/b"), "utf8")).toBe("below/b");
    expect(await rsync("tree/", "dev:/srv/tree/")).toMatchObject({ status: 0, stdout: "" });
  });

  test("git pushes and clones", async () => {
    const git = (...argv: string[]) =>
      inEnv(["git", "-c", "user.name=a", "-c", "user.email=a@example.com", ...argv], {
        env: { GIT_SSH_COMMAND: `${SBX} ssh`, GIT_CONFIG_GLOBAL: "/dev/null" },
      });
    await sbx(["ssh", "dev", "git init -q --bare -b main /srv/app.git"]);
    await git("init", "-q", "-b", "main", "app");
    await git("-C", "app", "commit", "-q", "--allow-empty", "-m", "first");
    expect(await git("-C", "app", "push", "-q", "dev:/srv/app.git", "main"))
      .toMatchObject({ status: 0 });
    expect(await git("clone", "-q", "dev:/srv/app.git", "cloned")).toMatchObject({ status: 0 });
    expect((await git("-C", "cloned", "log", "--format=%s")).stdout).toBe("first\n");
  });

  test("-L leads to a server of the guest's loopback", async () => {
    await serve(8301);
    const port = await freePort();
    const tunnel = start([SBX, "ssh", "-N", "-L", `${port}:localhost:8301`, "dev"], { env });
    try {
      await until("an answer", () => answers(port));
      expect(await asked(port, "over ssh")).toBe("over ssh");
    } finally {
      tunnel.kill("SIGTERM");
      await tunnel.ended;
    }
  });

  test("nothing leads out: no port of this machine's, no agent of the user's", async () => {
    const refused = await sbx([
      "ssh",
      "-o",
      "RemoteForward=8302 localhost:22",
      "-o",
      "ExitOnForwardFailure=yes",
      "dev",
      "true",
    ]);
    expect(refused.status).toBe(255);
    const agent = await sbx(["ssh", "-o", "ForwardAgent=yes", "dev", "echo", "[$SSH_AUTH_SOCK]"]);
    expect(agent.stdout).toBe("[]\n");
  });
});

/** In the guest: answers each connection, once its input has ended, with all of that. */
async function serve(port: number): Promise<void> {
  const server = [
    "import socketserver as s",
    "class H(s.StreamRequestHandler):",
    "  def handle(self): self.wfile.write(self.rfile.read())",
    "class S(s.ThreadingTCPServer): allow_reuse_address = True; request_queue_size = 256",
    `S(("127.0.0.1", ${port}), H).serve_forever()`,
  ].join("\n");
  await sbx(["exec", "-d", "dev", "--", "python3", "-c", server]);
}

async function answers(port: number): Promise<boolean> {
  return await asked(port, "?").then((text) => text === "?", () => false);
}

async function asked(port: number, said: string): Promise<string> {
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  let text = "";
  socket.on("data", (piece) => text += String(piece));
  socket.end(said);
  await once(socket, "end");
  return text;
}

describe("forward", () => {
  test("a hundred half-closed connections, until it is ended", async () => {
    await serve(8303);
    const forward = start([SBX, "forward", "dev", "8303", "8303:8304"], { env });
    await until("both ports", () => forward.stdout().split("\n").length > 2);
    const port = Number(
      /^forwarding 127\.0\.0\.1 port (\d+) to 8303\/tcp/.exec(forward.stdout())?.[1],
    );
    await until("an answer", () => answers(port));
    const said = Array.from(
      { length: 100 },
      (_, at) => createHash("sha256").update(String(at)).digest("hex").repeat(at),
    );
    expect(await Promise.all(said.map((each) => asked(port, each)))).toEqual(said);
    const nobody = connect(8303, "127.0.0.1");
    const [error] = await once(nobody, "error");
    expect(error).toMatchObject({ code: "ECONNRESET" });
    forward.kill("SIGINT");
    expect(await forward.ended).toMatchObject({ status: 0, stderr: "" });
    expect(await answers(port)).toBeFalse();
  });

  test("a port that is taken, datagrams and a sandbox's end are said in one line", async () => {
    const taken = start([SBX, "forward", "dev", "1"], { env });
    await until("the port", () => taken.stdout().includes("\n"));
    const port = /port (\d+)/.exec(taken.stdout())?.[1] ?? "";
    expect(await sbx(["forward", "dev", `${port}:1`])).toMatchObject({
      status: 125,
      stderr: `sbx: cannot listen on 127.0.0.1:${port}: the port is taken\n` +
        "hint: take another port, or 0 for one that is free\n",
    });
    const datagrams = await sbx(["forward", "dev", "53/udp"]);
    expect(datagrams.status).toBe(2);
    expect(datagrams.stderr).toContain("hint: publish it: sbx port add dev 53/udp\n");
    await sbx(["stop", "-t", "0", "dev"]);
    expect(await taken.ended).toMatchObject({
      status: 125,
      stderr: "sbx: cannot go on forwarding: sandbox dev has ended\n" +
        "hint: start it again with 'sbx start dev'\n",
    });
    expect(await sbx(["forward", "dev", "1"])).toMatchObject({
      status: 125,
      stderr: "sbx: cannot forward ports to sandbox dev: it is not running\n" +
        "hint: start it with 'sbx start dev'\n",
    });
  });
});
