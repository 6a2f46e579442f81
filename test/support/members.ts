/**
 * The accounts that the recipes of docs/secrets.md are for: the servers that take them, and a fresh value for each,
 * which nobody could come to by accident.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import type { Member, Members } from "./recorder.ts";

export interface Account {
  /** The environment variable: on the host with the value, in the guest with the placeholder. */
  readonly name: string;
  readonly value: string;
  readonly servers: Members;
}

type Server = Omit<Member, "field" | "value"> & {
  readonly host: string;
  readonly as: "bearer" | "bare" | "x-api-key" | { readonly user: string };
};

const BASIC = 'Basic realm="members"';

const hub = "https://auth.docker.io/token";

const ACCOUNTS: Readonly<Record<string, { readonly form?: string; readonly at: Server[] }>> = {
  GITHUB_TOKEN: {
    form: "ghp_",
    at: [
      { host: "api.github.com", as: "bearer" },
      { host: "github.com", as: { user: "x-access-token" }, root: "/git", challenge: BASIC },
    ],
  },
  NPM_TOKEN: {
    form: "npm_",
    at: [{ host: "registry.npmjs.org", as: "bearer", root: "/files/npm" }],
  },
  PYPI_TOKEN: {
    at: [{ host: "pypi.example.com", as: { user: "__token__" }, root: "/files", challenge: BASIC }],
  },
  CARGO_REGISTRIES_PRIVATE_TOKEN: {
    at: [{ host: "crates.example.com", as: "bare", root: "/files/crates" }],
  },
  DOCKER_PAT: {
    form: "dckr_pat_",
    at: [{ host: "auth.docker.io", as: { user: "you" } }],
  },
  OPENAI_API_KEY: { form: "sk-proj-", at: [{ host: "api.openai.com", as: "bearer" }] },
  ANTHROPIC_API_KEY: { form: "sk-ant-", at: [{ host: "api.anthropic.com", as: "x-api-key" }] },
  RPC_TOKEN: { at: [{ host: "rpc.example.com", as: "bearer" }] },
};

/** What the token service of the container registry gives; see member_services.go. */
export const DAY_TOKEN = "day-token-of-the-registry";

const REGISTRY: Members = {
  "registry-1.docker.io": {
    field: "authorization",
    value: `Bearer ${DAY_TOKEN}`,
    challenge: `Bearer realm="${hub}",service="registry.docker.io"`,
  },
};

/** All of them, with fresh values. Each has `core` in it, so that one search finds whichever. */
export function openAccounts(core: string): readonly Account[] {
  return Object.entries(ACCOUNTS).map(([name, { form = "", at }]) => {
    const value = `${form}${core}${randomBytes(10).toString("hex")}`;
    const servers = at.map(({ host, as, ...rest }) => [host, { ...wanted(as, value), ...rest }]);
    return { name, value, servers: Object.fromEntries(servers) as Members };
  });
}

function wanted(as: Server["as"], value: string): Pick<Member, "field" | "value"> {
  switch (as) {
    case "bearer":
      return { field: "authorization", value: `Bearer ${value}` };
    case "bare":
      return { field: "authorization", value };
    case "x-api-key":
      return { field: as, value };
    default: {
      const pair = Buffer.from(`${as.user}:${value}`).toString("base64");
      return { field: "authorization", value: `Basic ${pair}` };
    }
  }
}

/** The servers of all of them. */
export function membersOf(accounts: readonly Account[]): Members {
  return Object.assign({ ...REGISTRY }, ...accounts.map(({ servers }) => servers));
}

/** The host's environment with the values. */
export function valuesOf(accounts: readonly Account[]): Record<string, string> {
  return Object.fromEntries(accounts.map(({ name, value }) => [name, value]));
}
