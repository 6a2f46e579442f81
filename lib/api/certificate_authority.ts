/**
 * The authority kept for the user: the one that `--tls-intercept` uses in every sandbox, so that a
 * client which was told of it once stays content. Without one, each sandbox makes its own.
 *
 * @module
 */
import { X509Certificate } from "node:crypto";
import { SbxError } from "../base/errors.ts";
import { flag, optionsOf } from "../base/misuse.ts";
import { untilAborted } from "../base/until.ts";
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
import { type Abortable, signalOf } from "./abortable.ts";

/** What may be known of a kept authority: everything but its key. */
export interface KeptAuthority {
  /** The file that holds certificate and key. */
  readonly path: string;
  /** Its distinguished name. */
  readonly subject: string;
  /** SHA-256 of the certificate, as `AB:CD:…`. */
  readonly fingerprint: string;
  /** From when it is valid. */
  readonly notBefore: Date;
  /** Until when it is. */
  readonly notAfter: Date;
  /** The certificate as text. */
  readonly certificatePem: string;
  /** The certificate as bytes. */
  readonly certificateDer: Uint8Array;
}

export type { AuthorityOptions };

/** What a new authority is to be, and whether it may take the place of one. */
export interface InitOptions extends AuthorityOptions, Abortable {
  /** Replaces the one that is kept; false when absent. */
  readonly force?: boolean;
}

/** What the next authority is to be, where it differs from the one that is kept. */
export interface RotateOptions extends AuthorityOptions, Abortable {}

/** Longer than any client minds in a root, and short enough to be a mistake's end. */
const MAX_DAYS = 3650;

/** Loaded when asked for: who only runs a sandbox has no use for it. */
const store = () => import("../tls/authority/store.ts");

/** The authority kept for the user: `sbx ca` as an object. */
export interface CertificateAuthority {
  /** Where it is kept, whether there is one or not. */
  path(): string;
  /**
   * The one that is kept, or null.
   *
   * @throws SbxError TLS_INVALID when there is one that cannot be used, FILE_UNREADABLE, and the signal's reason
   */
  load(options?: Abortable): Promise<KeptAuthority | null>;
  /**
   * Makes one and keeps it. `force` replaces the one that is there.
   *
   * @throws SbxError CA_EXISTS, FILE_UNREADABLE, USAGE, and the signal's reason
   */
  init(options?: InitOptions): Promise<KeptAuthority>;
  /**
   * Replaces the one that is kept, under its name and for as long unless told otherwise. Guests that
   * run keep trusting the old one and being answered by it until they end.
   *
   * @throws SbxError CA_MISSING, FILE_UNREADABLE, USAGE, and the signal's reason
   */
  rotate(options?: RotateOptions): Promise<KeptAuthority>;
  /** False when there was none. @throws SbxError FILE_UNREADABLE, and the signal's reason */
  remove(options?: Abortable): Promise<boolean>;
}

/** The authority kept for the user. */
export const CertificateAuthority: CertificateAuthority = Object.freeze({
  path(): string {
    return authorityPath(dataDir());
  },

  async load(options: Abortable = {}): Promise<KeptAuthority | null> {
    const signal = signalOf("load(…)", options);
    const loading = (await store()).keptAuthority(CertificateAuthority.path());
    const authority = await untilAborted(loading, signal);
    return authority === null ? null : described(CertificateAuthority.path(), authority);
  },

  async init(
    options: InitOptions = {},
  ): Promise<KeptAuthority> {
    const known = { name: true, days: true, force: true, signal: true } as const;
    const { signal } = optionsOf("init(…)", options, known);
    const force = flag("init(…)", options.force ?? false);
    signal?.throwIfAborted();
    const wanted = checked(options);
    const [{ makeAuthority }, { keepAuthority }] = await Promise.all([
      import("../tls/authority/authority.ts"),
      store(),
    ]);
    const fresh = await untilAborted(makeAuthority(wanted), signal);
    await keepAuthority(CertificateAuthority.path(), fresh, force);
    return described(CertificateAuthority.path(), fresh.authority);
  },

  async rotate(options: RotateOptions = {}): Promise<KeptAuthority> {
    const known = { name: true, days: true, signal: true } as const;
    const { signal } = optionsOf("rotate(…)", options, known);
    signal?.throwIfAborted();
    const loading = (await store()).keptAuthority(CertificateAuthority.path());
    const before = await untilAborted(loading, signal).catch((error) => {
      // One that cannot be used is what rotating is for.
      if (error instanceof SbxError && error.code === "TLS_INVALID") return undefined;
      throw error;
    });
    if (before === null) {
      throw new SbxError("CA_MISSING", "Cannot rotate the authority: none is kept", {
        hint: "make one with 'sbx ca init'",
      });
    }
    return await CertificateAuthority.init({ ...asBefore(before), ...options, force: true });
  },

  async remove(options: Abortable = {}): Promise<boolean> {
    const signal = signalOf("remove(…)", options);
    return await untilAborted(
      (await store()).removeAuthority(CertificateAuthority.path()),
      signal,
    );
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
