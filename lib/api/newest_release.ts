/**
 * Which version of sbx is the newest, asked of npm's registry, and only when somebody wants to know.
 *
 * @module
 */
import * as http from "node:http";
import * as https from "node:https";
import process from "node:process";
import { SbxError } from "../base/errors.ts";
import { systemWords } from "../base/file_error.ts";
import { NPM_SCOPE } from "../host/installed_binary.ts";

const REGISTRY = "https://registry.npmjs.org/";

/** Milliseconds for the whole answer. */
const PATIENCE = 10_000;

/** Far more than the manifest of one version. */
const MAX_ANSWER = 1 << 20;

const VERSION = /^(\d{1,9})\.(\d{1,9})\.(\d{1,9})(-[0-9A-Za-z.]{1,50})?(?: .*)?$/;

/**
 * The version that the registry calls the latest. It is npm's, or that of `NPM_CONFIG_REGISTRY`.
 *
 * @throws SbxError UPDATE_UNKNOWN when it does not answer, or not with a version
 */
export async function newestRelease(): Promise<string> {
  const registry = process.env["NPM_CONFIG_REGISTRY"] || REGISTRY;
  const url = URL.parse(`${registry.replace(/\/?$/, "/")}${NPM_SCOPE}%2fsbx/latest`);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw unanswered("NPM_CONFIG_REGISTRY is no address of a registry");
  }
  const version = versionIn(await answer(url));
  if (version === null) throw unanswered(`what ${url.host} says has no version`);
  return version;
}

function versionIn(text: string): string | null {
  try {
    const { version } = JSON.parse(text) as { readonly version?: unknown };
    return typeof version === "string" && VERSION.test(version) ? version : null;
  } catch {
    return null;
  }
}

/** Whether a version is newer than another; a pre-release is older than its release. */
export function isNewer(version: string, than: string): boolean {
  const [one, other] = [VERSION.exec(version), VERSION.exec(than)];
  for (const part of [1, 2, 3]) {
    const difference = Number(one?.[part]) - Number(other?.[part]);
    if (difference !== 0) return difference > 0;
  }
  return one?.[4] === undefined && other?.[4] !== undefined;
}

function answer(url: URL): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const { get } = url.protocol === "http:" ? http : https;
  const request = get(url.href, { signal: AbortSignal.timeout(PATIENCE) }, (response) => {
    let text = "";
    response.setEncoding("utf8");
    response.on("data", (part: string) => {
      text += part;
      if (text.length > MAX_ANSWER) request.destroy(unanswered(`what ${url.host} says has no end`));
    });
    response.on("error", reject);
    response.on("end", () => {
      const { statusCode } = response;
      if (statusCode === 200) resolve(text);
      else if (statusCode === 404) reject(unanswered(`${url.host} has no ${NPM_SCOPE}/sbx`));
      else reject(unanswered(`${url.host} answers with status ${statusCode}`));
    });
  });
  request.on("error", reject);
  return promise.catch((cause) => {
    if (cause instanceof SbxError) throw cause;
    throw unanswered(`${url.host} does not answer: ${systemWords(cause)}`, cause);
  });
}

function unanswered(state: string, cause?: unknown): SbxError {
  return new SbxError("UPDATE_UNKNOWN", `Cannot ask for the newest version: ${state}`, {
    cause,
    state,
  });
}
