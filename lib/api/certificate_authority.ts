/**
 * The authority kept for the user: the one that `--tls-intercept` uses in every sandbox, so that a
 * client which was told of it once stays content. Without one, each sandbox makes its own.
 *
 * @module
 */
import { X509Certificate } from "node:crypto";
import { SbxError } from "../base/errors.ts";
import { flag, optionsOf } from "../base/misuse.ts";
import { dataDir } from "../host/paths.ts";
import { quote } from "../policy/text/fault.ts";
import type { Authority } from "../tls/authority/authority.ts";
import {
  type AuthorityOptions,
  authorityPath,
  DAY_MS,
  isOwnName,
  MAX_COMMON_NAME,
} from "../tls/authority/spec.ts";

/** What may be known of a kept authority: everything but its key. */
export interface KeptAuthority {
  /** The file that holds certificate and key. */
  readonly path: string;
  readonly subject: string;
  /** SHA-256 of the certificate, as `AB:CD:…`. */
  readonly fingerprint: string;
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly certificatePem: string;
  readonly certificateDer: Uint8Array;
}

export type { AuthorityOptions };

/** What a new authority is to be, and whether it may take the place of one. */
export interface InitOptions extends AuthorityOptions {
  /** Replaces the one that is kept; false when absent. */
  readonly force?: boolean;
}

/** Longer than any client minds in a root, and short enough to be a mistake's end. */
const MAX_DAYS = 3650;

/** Loaded when asked for: who only runs a sandbox has no use for it. */
const store = () => import("../tls/authority/store.ts");

export const CertificateAuthority = Object.freeze({
  /** Where it is kept, whether there is one or not. */
  path(): string {
    return authorityPath(dataDir());
  },

  /** @throws SbxError TLS_INVALID when there is one that cannot be used, FILE_UNREADABLE */
  async load(): Promise<KeptAuthority | null> {
    const authority = await (await store()).keptAuthority(this.path());
    return authority === null ? null : described(this.path(), authority);
  },

  /**
   * Makes one and keeps it. `force` replaces the one that is there.
   *
   * @throws SbxError CA_EXISTS, FILE_UNREADABLE, USAGE
   */
  async init(
    options: InitOptions = {},
  ): Promise<KeptAuthority> {
    optionsOf("init(…)", options, { name: true, days: true, force: true });
    const force = flag("init(…)", options.force ?? false);
    const wanted = checked(options);
    const [{ makeAuthority }, { keepAuthority }] = await Promise.all([
      import("../tls/authority/authority.ts"),
      store(),
    ]);
    const fresh = await makeAuthority(wanted);
    await keepAuthority(this.path(), fresh, force);
    return described(this.path(), fresh.authority);
  },

  /**
   * Replaces the one that is kept, under its name and for as long unless told otherwise. Guests that
   * run keep trusting the old one and being answered by it until they end.
   *
   * @throws SbxError CA_MISSING, FILE_UNREADABLE, USAGE
   */
  async rotate(options: AuthorityOptions = {}): Promise<KeptAuthority> {
    optionsOf("rotate(…)", options, { name: true, days: true });
    const { keptAuthority } = await store();
    const before = await keptAuthority(this.path()).catch((error) => {
      // One that cannot be used is what rotating is for.
      if (error instanceof SbxError && error.code === "TLS_INVALID") return undefined;
      throw error;
    });
    if (before === null) {
      throw new SbxError("CA_MISSING", "Cannot rotate the authority: none is kept", {
        hint: "make one with 'sbx ca init'",
      });
    }
    return await this.init({ ...asBefore(before), ...options, force: true });
  },

  /** False when there was none. @throws SbxError FILE_UNREADABLE */
  async remove(): Promise<boolean> {
    return await (await store()).removeAuthority(this.path());
  },
});

function described(
  path: string,
  { certificateDer, certificatePem, notAfter }: Authority,
): KeptAuthority {
  const { subject, fingerprint256, validFrom } = new X509Certificate(certificateDer);
  return {
    path,
    subject: subject.split("\n").join(", "),
    fingerprint: fingerprint256,
    notBefore: new Date(validFrom),
    notAfter,
    certificatePem,
    certificateDer,
  };
}

function asBefore(before: Authority | undefined): AuthorityOptions {
  if (before === undefined) return {};
  const [name] = before.subject.getField("CN");
  const { validFrom } = new X509Certificate(before.certificateDer);
  const days = Math.floor((before.notAfter.getTime() - Date.parse(validFrom)) / DAY_MS);
  const chosen = name !== undefined && !isOwnName(name);
  return { days: Math.max(1, days), ...(chosen ? { name } : {}) };
}

function checked(options: AuthorityOptions): AuthorityOptions {
  const { name, days } = options;
  if (
    name !== undefined &&
    (name === "" || name.length > MAX_COMMON_NAME || /\p{Cc}/u.test(name))
  ) {
    throw new SbxError(
      "USAGE",
      `Cannot name an authority ${quote(name)}: not 1 to ${MAX_COMMON_NAME} printable characters`,
    );
  }
  if (days !== undefined && !(Number.isInteger(days) && days >= 1 && days <= MAX_DAYS)) {
    throw new SbxError(
      "USAGE",
      `Cannot make an authority for ${days} days: not a whole number from 1 to ${MAX_DAYS}`,
    );
  }
  return { ...(name === undefined ? {} : { name }), ...(days === undefined ? {} : { days }) };
}
