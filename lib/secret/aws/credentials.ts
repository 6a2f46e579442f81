/**
 * A pair of keys as AWS's own tools keep and print it: a profile of a file with shared credentials, or
 * what a program for `credential_process` prints.
 *
 * @module
 */

import { SbxError } from "../../base/errors.ts";
import { escapeText, quote } from "../../base/escape.ts";
import { parseMoment } from "../printed_value.ts";
import type { SourceReading } from "../program_values.ts";

/**
 * Reads `{"Version": 1, "AccessKeyId": …, "SecretAccessKey": …, "SessionToken": …, "Expiration": …}`, also
 * below `Credentials`, as `aws sts` prints it. The texts are those of identifier, key and token.
 *
 * @throws SbxError SECRET_UNAVAILABLE, which repeats nothing of it
 */
export function readPrintedPair(name: string, printed: string): SourceReading {
  let answer: Readonly<Record<string, unknown>> | null;
  try {
    const whole = JSON.parse(printed);
    answer = whole?.Credentials ?? whole;
  } catch {
    throw malformed(name, "is no JSON");
  }
  const { Version, AccessKeyId: id, SecretAccessKey: key, SessionToken, Expiration } = answer ?? {};
  if (Version !== undefined && Version !== 1) throw malformed(name, "is of another version than 1");
  const token = SessionToken ?? null;
  if (typeof id !== "string" || typeof key !== "string") throw malformed(name, "lacks a key");
  if (token !== null && typeof token !== "string") {
    throw malformed(name, "has a token that is none");
  }
  const texts = [id, key, token === "" ? null : token];
  if (Expiration === undefined || Expiration === null) return { texts };
  const moment = typeof Expiration === "string" ? parseMoment(Expiration) : null;
  if (moment === null) throw malformed(name, "does not say when it expires");
  return { texts, expires: new Date(moment) };
}

function malformed(name: string, state: string): SbxError {
  return new SbxError(
    "SECRET_UNAVAILABLE",
    `Cannot read secret ${name}: what was printed ${state}`,
    {
      hint: "print the JSON that AWS wants of a credential_process",
    },
  );
}

/**
 * The keys of a profile, by the names that such files have for them; a later line wins.
 *
 * @throws SbxError SECRET_UNAVAILABLE, which repeats nothing of the file
 */
export function readSharedCredentials(name: string, profile: string, text: string): SourceReading {
  const settings = new Map<string, string>();
  let isThere = false;
  let isInside = false;
  for (const line of text.split("\n")) {
    const section = sectionOf(line.trim());
    if (section !== null) {
      isInside = section === profile;
      isThere ||= isInside;
      continue;
    }
    const equals = line.indexOf("=");
    // Comments and what is set in below another setting have no key that is looked for.
    if (!isInside || equals < 0) continue;
    settings.set(line.slice(0, equals).trim().toLowerCase(), line.slice(equals + 1).trim());
  }
  const id = settings.get("aws_access_key_id") ?? "";
  const key = settings.get("aws_secret_access_key") ?? "";
  const token = settings.get("aws_session_token") ?? "";
  if (id !== "" && key !== "") return { texts: [id, key, token === "" ? null : token] };
  throw new SbxError(
    "SECRET_UNAVAILABLE",
    `Cannot read secret ${name}: the file has ${
      isThere ? `no keys in its profile ${quote(profile)}` : `no profile ${quote(profile)}`
    }`,
    {
      hint:
        `write aws_access_key_id and aws_secret_access_key below [${escapeText(profile)}], or ` +
        "name another profile",
    },
  );
}

/** `[name]`, or `[profile name]` as files of settings have it; null: the line begins no section. */
function sectionOf(line: string): string | null {
  const end = line.indexOf("]");
  if (!line.startsWith("[") || end < 0) return null;
  const whole = line.slice(1, end).trim();
  return /^profile[ \t]/.test(whole) ? whole.slice("profile".length).trim() : whole;
}
