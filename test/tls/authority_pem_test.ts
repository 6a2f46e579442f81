import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SbxError } from "../../lib/base/errors.ts";
import { makeAuthority } from "../../lib/tls/authority/authority.ts";
import { Leaves } from "../../lib/tls/authority/leaves.ts";
import { certificatesIn, parseAuthority, type PemFile } from "../../lib/tls/authority/pem.ts";
import { mutate } from "../support/mutate.ts";

let directory = "";
const at = (name: string) => join(directory, name);
const file = (name: string): PemFile => ({ path: name, text: readFileSync(at(name), "utf8") });

function openssl(...args: readonly string[]): void {
  execFileSync("openssl", args, { cwd: directory, stdio: "pipe" });
}

/** NAME.crt and NAME.key: an authority of its own unless `issuer` signs it. */
function certificate(
  name: string,
  { key = EC, extensions = CA, days = "30", issuer = name }: {
    readonly key?: readonly string[];
    readonly extensions?: readonly string[];
    readonly days?: string;
    readonly issuer?: string;
  } = {},
): void {
  writeFileSync(at(`${name}.ext`), extensions.join("\n"));
  openssl("genpkey", ...key, "-out", `${name}.key`);
  openssl("req", "-new", "-key", `${name}.key`, "-subj", `/CN=${name}`, "-out", `${name}.csr`);
  const signer = issuer === name
    ? ["-signkey", `${name}.key`]
    : ["-CA", `${issuer}.crt`, "-CAkey", `${issuer}.key`, "-CAcreateserial"];
  openssl(
    ...["x509", "-req", "-in", `${name}.csr`, "-days", days, "-extfile", `${name}.ext`],
    ...signer,
    ...["-out", `${name}.crt`],
  );
}

const EC = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"];
const CA = [
  "basicConstraints=critical,CA:TRUE",
  "keyUsage=critical,keyCertSign,cRLSign",
  "subjectKeyIdentifier=hash",
];

function joined(name: string, ...parts: readonly string[]): void {
  writeFileSync(at(name), parts.map((part) => readFileSync(at(part), "utf8")).join(""));
}

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "sbx-authority-"));
  certificate("ec");
  certificate("p384", { key: ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"] });
  certificate("p521", { key: ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"] });
  certificate("rsa", { key: ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"] });
  openssl("ec", "-in", "ec.key", "-out", "ec.sec1.key");
  openssl("rsa", "-in", "rsa.key", "-traditional", "-out", "rsa.pkcs1.key");
  openssl("ecparam", "-name", "prime256v1", "-out", "params.pem");
  joined("ec.params.key", "params.pem", "ec.sec1.key");
  joined("both.pem", "ec.key", "ec.crt");
  writeFileSync(at("crlf.crt"), readFileSync(at("ec.crt"), "utf8").replaceAll("\n", "\r\n"));
  openssl("x509", "-in", "ec.crt", "-text", "-out", "verbose.crt");
  // Chains.
  certificate("middle", { issuer: "ec", extensions: [...CA, "authorityKeyIdentifier=keyid"] });
  joined("chain.crt", "middle.crt", "ec.crt");
  joined("backwards.crt", "ec.crt", "middle.crt");
  joined("unrelated.crt", "middle.crt", "rsa.crt");
  certificate("low", {
    extensions: ["basicConstraints=critical,CA:TRUE,pathlen:0", ...CA.slice(1)],
  });
  certificate("tooLow", { issuer: "low" });
  joined("tooLow.chain.crt", "tooLow.crt", "low.crt");
  // What cannot be used.
  certificate("leaf", { extensions: ["basicConstraints=CA:FALSE"] });
  certificate("plain", { extensions: ["subjectKeyIdentifier=hash"] });
  certificate("noSign", { extensions: [CA[0] ?? "", "keyUsage=digitalSignature"] });
  certificate("clients", { extensions: [...CA, "extendedKeyUsage=clientAuth"] });
  certificate("servers", { extensions: [...CA, "extendedKeyUsage=serverAuth"] });
  certificate("short", { key: ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"] });
  certificate("edwards", { key: ["-algorithm", "ED25519"] });
  certificate("koblitz", { key: ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:secp256k1"] });
  certificate("p224", { key: ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:secp224r1"] });
  openssl("pkey", "-in", "ec.key", "-aes128", "-passout", "pass:x", "-out", "locked.key");
  openssl("ec", "-in", "ec.key", "-aes128", "-passout", "pass:x", "-out", "locked.sec1.key");
  openssl("x509", "-in", "ec.crt", "-outform", "der", "-out", "ec.der");
  openssl("pkey", "-in", "ec.key", "-pubout", "-out", "public.key");
  writeFileSync(at("empty.pem"), "");
  const pem = readFileSync(at("ec.crt"), "utf8");
  writeFileSync(at("damaged.crt"), `${pem.slice(0, 200)}\n-----END CERTIFICATE-----\n`);
  writeFileSync(at("damaged.key"), readFileSync(at("ec.key"), "utf8").replace("\nM", "\n!"));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

describe("a leaf verifies under an authority with", () => {
  const usable: Record<string, readonly [cert: string, key: string, root?: string]> = {
    "an EC key in PKCS #8": ["ec.crt", "ec.key"],
    "an EC key in SEC 1": ["ec.crt", "ec.sec1.key"],
    "an EC key behind its parameters": ["ec.crt", "ec.params.key"],
    "a key on P-384": ["p384.crt", "p384.key"],
    "a key on P-521": ["p521.crt", "p521.key"],
    "an RSA key in PKCS #8": ["rsa.crt", "rsa.key"],
    "an RSA key in PKCS #1": ["rsa.crt", "rsa.pkcs1.key"],
    "certificate and key in one file": ["both.pem", "both.pem", "ec.crt"],
    "the line ends of Windows": ["crlf.crt", "ec.key", "ec.crt"],
    "text around the certificate": ["verbose.crt", "ec.key"],
    "a root above it": ["chain.crt", "middle.key", "ec.crt"],
    "an extended key usage for servers": ["servers.crt", "servers.key"],
  };
  for (const [what, [cert, key, root = cert]] of Object.entries(usable)) {
    test(what, async () => {
      const authority = await parseAuthority(file(cert), file(key));
      const { cert: shown } = await new Leaves(authority).leafFor("host.example");
      writeFileSync(at("shown.pem"), shown);
      const strict = ["-x509_strict", "-purpose", "sslserver", "-verify_hostname", "host.example"];
      openssl("verify", ...strict, "-CAfile", root, "-untrusted", "shown.pem", "shown.pem");
    });
  }
});

describe("an authority is refused", () => {
  const refused: Record<string, readonly [cert: string, key: string, message: string]> = {
    "of a key to another certificate": [
      "ec.crt",
      "rsa.key",
      "key rsa.key: it is not the key to ec.crt",
    ],
    "whose certificate is not the first": [
      "backwards.crt",
      "middle.key",
      "certificate backwards.crt: the key belongs to certificate 2 in it",
    ],
    "that is a server": [
      "leaf.crt",
      "leaf.key",
      "certificate leaf.crt: it is that of a server or client",
    ],
    "that does not say what it is": [
      "plain.crt",
      "plain.key",
      "certificate plain.crt: it is that of a server",
    ],
    "that may not sign": [
      "noSign.crt",
      "noSign.key",
      "certificate noSign.crt: it may not sign certificates",
    ],
    "that is only for clients": [
      "clients.crt",
      "clients.key",
      "certificate clients.crt: it may not sign for servers",
    ],
    "without its root": [
      "middle.crt",
      "middle.key",
      "certificate middle.crt: it was issued by another authority",
    ],
    "under somebody else's root": [
      "unrelated.crt",
      "middle.key",
      "certificate unrelated.crt: it was not issued by the next one",
    ],
    "below one that allows none below it": [
      "tooLow.chain.crt",
      "tooLow.key",
      "certificate 2 in it allows 0 authorities below it, and there are 1",
    ],
    "with a short RSA key": ["short.crt", "short.key", "key short.key: it is RSA with 1024 bits"],
    "with an Edwards key": ["edwards.crt", "edwards.key", "key edwards.key: it is of type ed25519"],
    "on a curve of no TLS client": ["p224.crt", "p224.key", "key p224.key: it is on the curve"],
    "on a curve that is not known": [
      "koblitz.crt",
      "koblitz.key",
      "key koblitz.key: its private key cannot be read",
    ],
    "with an encrypted key": ["ec.crt", "locked.key", "key locked.key: it is encrypted"],
    "with a SEC 1 key that is encrypted": ["ec.crt", "locked.sec1.key", "it is encrypted"],
    "with a public key for a key": [
      "ec.crt",
      "public.key",
      "key public.key: it holds no private key in PEM",
    ],
    "with a certificate for a key": [
      "ec.crt",
      "ec.crt",
      "key ec.crt: it holds no private key in PEM",
    ],
    "with a key for a certificate": [
      "ec.key",
      "ec.key",
      "certificate ec.key: it holds no certificate in PEM",
    ],
    "in DER": [
      "ec.der",
      "ec.key",
      "certificate ec.der: it holds no certificate in PEM; it looks like DER",
    ],
    "in an empty file": [
      "empty.pem",
      "ec.key",
      "certificate empty.pem: it holds no certificate in PEM",
    ],
    "with a damaged certificate": [
      "damaged.crt",
      "ec.key",
      "certificate damaged.crt: it is damaged",
    ],
    "with a damaged key": [
      "ec.crt",
      "damaged.key",
      "key damaged.key: its private key cannot be read",
    ],
  };
  for (const [what, [cert, key, message]] of Object.entries(refused)) {
    test(what, async () => {
      const error = await refusalOf(parseAuthority(file(cert), file(key)));
      expect(error.code).toBe("TLS_INVALID");
      expect(error.message).toStartWith("Cannot use ");
      expect(error.message).toContain(message);
    });
  }

  test("by strict clients alone, which is a doubt", async () => {
    const bare = ["basicConstraints=critical,CA:TRUE", "subjectKeyIdentifier=none"];
    certificate("bare", { extensions: bare });
    const { doubts } = await parseAuthority(file("bare.crt"), file("bare.key"));
    expect(doubts).toEqual([
      "bare.crt states no key usage and no subject key identifier: strict clients in the guest will refuse it",
    ]);
    expect((await parseAuthority(file("chain.crt"), file("middle.key"))).doubts).toEqual([]);
  });

  test("before and after its time", async () => {
    const parse = (days: number) =>
      parseAuthority(file("ec.crt"), file("ec.key"), Date.now() + days * 86_400_000);
    expect((await refusalOf(parse(-1))).message).toMatch(
      /ec.crt: it is not valid before 2\d\d\d-\d\d-\d\d$/,
    );
    expect((await refusalOf(parse(31))).message).toMatch(
      /ec.crt: it expired on 2\d\d\d-\d\d-\d\d$/,
    );
  });
});

async function refusalOf(parsing: Promise<unknown>): Promise<SbxError> {
  const error = await parsing.then(() => null, (error: unknown) => error);
  if (error instanceof SbxError) return error;
  throw error ?? new Error("nothing was refused");
}

test("a damaged certificate is refused in one sentence, or is none the worse", async () => {
  const own = (await makeAuthority()).authority.certificateDer;
  const samples: Uint8Array[] = [];
  mutate([own, readFileSync(at("ec.der"))], 1_000, (sample) => samples.push(sample.slice()));
  const seen = { read: 0, refused: 0 };
  for (const sample of samples) {
    const body = Buffer.from(sample).toString("base64");
    const text = `-----BEGIN CERTIFICATE-----\n${body}\n-----END CERTIFICATE-----\n`;
    try {
      certificatesIn({ path: "mutated.pem", text });
      seen.read++;
    } catch (error) {
      if (!(error instanceof SbxError)) throw error;
      expect(error.message).toStartWith("Cannot use certificate mutated.pem: it is damaged");
      seen.refused++;
    }
  }
  expect(seen.read).toBeGreaterThan(20);
  expect(seen.refused).toBeGreaterThan(100);
});

test.each(
  [
    ["ED448", ["-algorithm", "ED448"]],
    ["brainpool", ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:brainpoolP256r1"]],
    ["secp256k1", ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:secp256k1"]],
    ["RSA-PSS", ["-algorithm", "RSA-PSS"]],
    ["SM2", ["-algorithm", "SM2"]],
  ] as const,
)(
  "a chain whose root has a key of type %s, which is not known here, is refused by name",
  async (name, key) => {
    certificate(`root-${name}`, { key });
    certificate(`below-${name}`, { issuer: `root-${name}` });
    joined(`chain-${name}`, `below-${name}.crt`, `root-${name}.crt`);
    const refusal = parseAuthority(file(`chain-${name}`), file(`below-${name}.key`));
    await expect(refusal).rejects.toBeInstanceOf(SbxError);
    await expect(refusal).rejects.toMatchObject({
      message:
        `Cannot use certificate chain-${name}: certificate 2 in it has a key of an unknown type`,
      hint: expect.stringContaining("RSA keys"),
    });
    // The certificate itself with a key that is known, which belongs to another.
    const own = parseAuthority(file(`root-${name}.crt`), file(`below-${name}.key`));
    await expect(own).rejects.toBeInstanceOf(SbxError);
  },
);
