/**
 * Whether programs in the real guest believe the authority that answers for intercepted servers, each
 * by the trust store that it looks into on its own. Of what a machine may lack, what is there is tried.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { copyFileSync, existsSync, mkdirSync, realpathSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import { buildGo } from "../support/build.ts";
import { run } from "../support/process.ts";
import { openWorld, ROOT, SBX, type World } from "../support/world.ts";

const HOST = "api.allowed.test";
const URL = `https://${HOST}/`;
const HELLO = new RegExp(`as ${HOST} over HTTP/`);

/** Both are in the toolchain, and mounted into the guest. */
const DENO = realpathSync(join(ROOT, ".cache/tool/bin/deno"));
const BUN = realpathSync(process.execPath);
const TOOLS = ["-v", `${dirname(DENO)}:/deno:ro`, "-v", `${dirname(BUN)}:/bun:ro`];

interface Client {
  /** What it takes on the machine, as a path. */
  readonly needs: string;
  /** A line for the guest's shell. */
  readonly line: string;
  readonly says?: RegExp;
}

const CLIENTS: Readonly<Record<string, Client>> = {
  "curl (OpenSSL)": { needs: "/usr/bin/curl", line: `curl -sS ${URL}` },
  "curl without the variables": { needs: "/usr/bin/curl", line: `env -i /usr/bin/curl -sS ${URL}` },
  "wget (GnuTLS)": { needs: "/usr/bin/wget", line: `wget -q -O - ${URL}` },
  "git (GnuTLS)": {
    needs: "/usr/bin/git",
    line: `git ls-remote ${URL}files/repo.git`,
    says: /^f{40}\srefs\/heads\/main$/m,
  },
  "git without the variables": {
    needs: "/usr/bin/git",
    line: `env -i PATH=$PATH git ls-remote ${URL}files/repo.git`,
    says: /^f{40}\srefs\/heads\/main$/m,
  },
  "openssl, strictly, by its default file": {
    needs: "/usr/bin/openssl",
    line: `env -i /usr/bin/openssl s_client ${sClient()} </dev/null`,
    says: /^Verification: OK$|Verify return code: 0 \(ok\)/m,
  },
  "openssl by the directory alone": {
    needs: "/usr/bin/openssl",
    line: `openssl s_client ${sClient()} -no-CAfile -CApath /etc/ssl/certs </dev/null`,
    says: /^Verification: OK$|Verify return code: 0 \(ok\)/m,
  },
  "gnutls-cli": {
    needs: "/usr/bin/gnutls-cli",
    line: `gnutls-cli --x509cafile /etc/ssl/certs/ca-certificates.crt ${HOST} </dev/null`,
    says: /The certificate is trusted/,
  },
  "NSS, by the user's database and the system's": {
    needs: "/usr/bin/certutil",
    line: "certutil -d sql:$HOME/.pki/nssdb -L; certutil -d sql:/etc/pki/nssdb -L",
    says: /sbx authority 0\s+C,,[^]*sbx authority 0\s+C,,/,
  },
  "NSS, as browsers validate a chain": {
    needs: "/usr/bin/vfychain",
    line: `cd /tmp && openssl s_client ${sClient()} -showcerts </dev/null 2>/dev/null |
      awk '/-BEGIN CERT/ { n++; out = "nss" n ".pem" } out { print > out } /-END CERT/ { out = "" }' &&
      vfychain -d sql:$HOME/.pki/nssdb -pp -u 1 -a nss*.pem`,
    says: /^Chain is good!$/m,
  },
  "Python, strictly": {
    needs: "/usr/bin/python3",
    line: `/usr/bin/python3 /clients/get.py ${URL}`,
  },
  "Node's fetch": { needs: "/usr/bin/node", line: `/usr/bin/node /clients/get.mjs ${URL}` },
  Perl: {
    needs: "/usr/share/perl5/IO/Socket/SSL.pm",
    line: `perl -MHTTP::Tiny -e 'print HTTP::Tiny->new(verify_SSL => 1)->get("${URL}")->{content}'`,
  },
  Ruby: { needs: "/usr/bin/ruby", line: `ruby -ropen-uri -e 'print URI.open("${URL}").read'` },
  "Deno's fetch": { needs: DENO, line: `/deno/deno run --allow-net /clients/get.ts ${URL}` },
  "Bun's fetch": { needs: BUN, line: `/bun/bun /clients/get.ts ${URL}` },
  Go: { needs: "/", line: `/clients/load get --to ${URL}` },
  Java: { needs: "/usr/bin/javac", line: `java -XX:TieredStopAtLevel=1 -cp /clients Get ${URL}` },
};

function sClient(): string {
  return `-connect ${HOST}:443 -servername ${HOST} -verify_hostname ${HOST} -x509_strict -verify_return_error`;
}

const PYTHON = `
import ssl, sys, urllib.request
context = ssl.create_default_context()
context.verify_flags |= ssl.VERIFY_X509_STRICT
print(urllib.request.urlopen(sys.argv[1], context=context).read().decode(), end="")
`;

const NODE = `console.log(await (await fetch(process.argv[2])).text());`;

const SCRIPT = `
const [url = ""] = "Deno" in globalThis ? globalThis.Deno.args : process.argv.slice(2);
console.log(await (await fetch(url)).text());`;

const JAVA = `
public class Get {
  public static void main(String[] args) throws Exception {
    System.out.write(new java.net.URI(args[0]).toURL().openStream().readAllBytes());
    System.out.flush();
  }
}
`;

let world: World;
let clients: string;
beforeAll(async () => {
  world = await openWorld();
  clients = join(world.scratch, "clients");
  mkdirSync(clients);
  copyFileSync(buildGo("load"), join(clients, "load"));
  writeFileSync(join(clients, "get.py"), PYTHON);
  writeFileSync(join(clients, "get.mjs"), NODE);
  writeFileSync(join(clients, "get.ts"), SCRIPT);
  writeFileSync(join(clients, "Get.java"), JAVA);
  if (existsSync("/usr/bin/javac")) {
    expect(await run(["javac", "Get.java"], { cwd: clients })).toMatchObject({ status: 0 });
  }
  mkdirSync(join(world.files, "repo.git/info"), { recursive: true });
  writeFileSync(join(world.files, "repo.git/info/refs"), `${"f".repeat(40)}\trefs/heads/main\n`);
  writeFileSync(join(world.files, "repo.git/HEAD"), "ref: refs/heads/main\n");
});
afterAll(() => world?.[Symbol.asyncDispose]());

/** Runs a shell script in a guest whose TLS is intercepted. */
function intercepted(script: string, ...options: readonly string[]) {
  const flags = ["--quiet", "--tls-intercept", "--upstream-ca", world.ca, "-m", "1G"];
  const mounts = ["-v", `${clients}:/clients:ro`, ...TOOLS];
  return world.sbx(["run", ...flags, ...mounts, ...options, "--", "sh", "-c", script], {
    limit: 240,
  });
}

/** An RSA authority of the user's, below a root that has a key elsewhere. */
async function ownAuthority(): Promise<string[]> {
  const script = `
    openssl req -x509 -newkey rsa:2048 -nodes -keyout root.key -out root.crt -subj /CN=root -days 9 \\
      -addext keyUsage=critical,keyCertSign
    printf '%s\\n' basicConstraints=critical,CA:TRUE,pathlen:0 keyUsage=critical,keyCertSign \\
      subjectKeyIdentifier=hash authorityKeyIdentifier=keyid > ext
    openssl req -newkey rsa:2048 -nodes -keyout own.key -out own.csr -subj /CN=own
    openssl x509 -req -in own.csr -CA root.crt -CAkey root.key -CAcreateserial -days 9 -extfile ext -out own.crt
    cat root.crt >> own.crt`;
  const made = await run(["sh", "-ec", script], { cwd: world.scratch });
  if (made.status !== 0) throw new Error(made.stderr);
  const at = (name: string) => join(world.scratch, name);
  return ["--tls-ca-cert", at("own.crt"), "--tls-ca-key", at("own.key")];
}

describe.each([
  ["one made for the sandbox", () => Promise.resolve([])],
  ["one of the user's, below a root", ownAuthority],
])("an authority, %s, is believed by", (_, options: () => Promise<string[]>) => {
  const here = Object.entries(CLIENTS).filter(([, { needs }]) => existsSync(needs));
  const parts = new Map<string, string>();
  beforeAll(async () => {
    const script = here.map(([, { line }], index) => `echo "=== ${index}"; (${line}) 2>&1; echo`);
    const { stdout } = await intercepted(script.join("\n"), ...await options());
    for (const part of stdout.split("=== ").slice(1)) {
      const [index = "", ...lines] = part.split("\n");
      parts.set(here[Number(index)]?.[0] ?? "", lines.join("\n"));
    }
  }, 260_000);
  for (const [name, { says = HELLO }] of here) {
    test(name, () => expect(parts.get(name)).toMatch(says));
  }
});

test("the guest holds certificates of the authority, and no key of any kind", async () => {
  const { stdout } = await intercepted(
    "cat /etc/ssl/certs/sbx-authority.pem; echo; grep -rl 'PRIVATE KEY' /etc /run /tmp /root /usr/local/share; true",
  );
  expect(stdout).toMatch(/^-----BEGIN CERTIFICATE-----\n[^-]*-----END CERTIFICATE-----\n\n$/);
});

test("a bundle that the user brings is extended, and a file that is missing is left to complain", async () => {
  mkdirSync(join(world.scratch, "own"));
  writeFileSync(join(world.scratch, "own/bundle.pem"), "# mine\n");
  const { stdout } = await intercepted(
    `head -n 1 "$CURL_CA_BUNDLE"; grep -c BEGIN "$CURL_CA_BUNDLE"; curl -sS ${URL}; echo "$PIP_CERT $SSL_CERT_FILE"`,
    ...["-v", `${join(world.scratch, "own")}:/own:ro`, "-w", "/own"],
    ...["-e", "CURL_CA_BUNDLE=bundle.pem", "-e", "PIP_CERT=/none.pem"],
  );
  const [first, count, hello, ...rest] = stdout.split("\n");
  expect([first, count]).toEqual(["# mine", "1"]);
  expect(hello).toMatch(HELLO);
  expect(rest).toEqual(["/none.pem /etc/ssl/certs/ca-certificates.crt", ""]);
});

test("without interception nothing of an authority is in the guest, and public roots are", async () => {
  const { stdout } = await world.sbx([
    ...["run", "--quiet", "--no-net", "--", "sh", "-c"],
    "ls /etc/ssl/certs | grep -v java; env | grep -c CERT; openssl version -d >/dev/null; grep -c BEGIN /etc/ssl/certs/ca-certificates.crt",
  ]);
  const [bundle, variables, roots] = stdout.split("\n");
  expect([bundle, variables]).toEqual(["ca-certificates.crt", "0"]);
  expect(Number(roots)).toBeGreaterThan(100);
});

test("what this machine trusts is in the guest when asked for, and not otherwise", async () => {
  const system = "/etc/ssl/certs/ca-certificates.crt";
  const add = ["sh", "-c", `mount --bind "$1" ${system} && shift && exec "$@"`, "sh"];
  const own = join(world.scratch, "system.pem");
  const { stdout: certificate } = await run([
    ...["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "/dev/null"],
    ...["-subj", "/CN=of this machine", "-days", "2"],
  ]);
  writeFileSync(own, certificate);
  const [line = ""] = certificate.split("\n").slice(3);
  for (const [flags, count] of [[[], "0\n"], [["--trust-host-cas"], "1\n"]] as const) {
    const argv = ["run", "-q", "--no-net", ...flags, "--", "grep", "-cF", line, system];
    const { stdout } = await run(
      world.onHostAsRoot(["unshare", "--mount", ...add, own, ...sbx(argv)]),
    );
    expect(stdout).toBe(count);
  }
});

function sbx(argv: readonly string[]): string[] {
  return ["env", `XDG_CACHE_HOME=${join(ROOT, ".cache/test")}`, SBX, ...argv];
}
