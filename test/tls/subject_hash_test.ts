import { expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { rootCertificates } from "node:tls";
import { bytesOf } from "../../lib/guest/root/trust.ts";
import { readCertificate } from "../../lib/tls/authority/certificate_reader.ts";
import { subjectHash } from "../../lib/tls/authority/subject_hash.ts";

/** Subjects whose spelling OpenSSL folds: case, spaces, and kinds of string. */
const ODD = ["/O=  Two   Words  /CN=MiXeD", "/CN=Zürich Ä/O=x", "/C=DE/emailAddress=A@B.example"];

test("the hash is OpenSSL's, for every public root and for odd spellings", () => {
  const directory = mkdtempSync(join(tmpdir(), "sbx-hash-"));
  try {
    const odd = ODD.map((subject) => {
      const key = join(directory, "key.pem");
      const made = [
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-keyout",
        key,
        "-nodes",
      ];
      const argv = ["req", "-x509", "-utf8", "-subj", subject, ...made];
      return execFileSync("openssl", argv, {
        encoding: "utf8",
        stdio: ["ignore", "pipe", "ignore"],
      });
    });
    const all = [...rootCertificates, ...odd];
    const names = all.map((pem, index) => {
      const path = join(directory, `${index}.pem`);
      writeFileSync(path, pem);
      return path;
    });
    const script = 'for path; do openssl x509 -noout -subject_hash -in "$path"; done';
    const theirs = execFileSync("sh", ["-c", script, "sh", ...names], { encoding: "utf8" });
    const ours = all.map((pem) =>
      subjectHash(readCertificate(bytesOf(pem)).subject.toArrayBuffer())
    );
    expect(ours).toEqual(theirs.trim().split("\n"));
    expect(ours.length).toBeGreaterThan(100);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}, 60_000);
