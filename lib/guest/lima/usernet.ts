/**
 * What Lima asks of the daemon behind one of its `user-v2` networks, and what sbx answers in its place: where
 * the guest is, and a port to its SSH. Everything else would be a way past the policy, or is nothing that
 * sbx has. Pure.
 *
 * ```
 * GET  /services/dhcp/leases          {"192.168.5.15": "52:55:55:…"}
 * POST /services/forwarder/expose     127.0.0.1:PORT to the guest's port 22
 * POST /services/forwarder/unexpose   it listens no more
 * POST /services/dns/add              names in `internal.`, which the guest has by its own cloud-init
 * ```
 *
 * @module
 */
import { z } from "zod";
import { SSH_PORT } from "./link.ts";

/** The network of Lima's that sbx stands behind. */
export const USERNET = "sbx";

/** The one address that Lima's SSH listens on. */
const LOOPBACK = "127.0.0.1";

export type UsernetCall =
  | { readonly call: "leases" }
  | { readonly call: "expose" | "unexpose"; readonly port: number }
  | { readonly call: "names" }
  /** `status`: of HTTP. */
  | { readonly call: "refused"; readonly status: 400 | 403 | 404; readonly why: string };

const endpoint = z.string().regex(/^[\d.]{7,15}:\d{1,5}$/).transform((text) => {
  const [address = "", port] = text.split(":");
  return { address, port: Number(port) };
});

const EXPOSE = z.object({ local: endpoint, remote: endpoint, protocol: z.literal("tcp") });
const UNEXPOSE = z.object({ local: endpoint, protocol: z.literal("tcp") });
const NAMES = z.object({ Name: z.string() });

/** `guest`: the guest's IPv4 address. */
export function readUsernetCall(
  { method, path, body }: { readonly method: string; readonly path: string; readonly body: string },
  guest: string,
): UsernetCall {
  switch (`${method} ${path}`) {
    case "GET /services/dhcp/leases":
      return { call: "leases" };
    case "POST /services/forwarder/expose": {
      const asked = read(EXPOSE, body);
      if (asked === undefined) return MALFORMED;
      const { local, remote } = asked;
      const isSsh = remote.address === guest && remote.port === SSH_PORT;
      if (!isSsh || !isLocal(local)) {
        return refused(403, "only the guest's SSH is led out, to a port of 127.0.0.1");
      }
      return { call: "expose", port: local.port };
    }
    case "POST /services/forwarder/unexpose": {
      const asked = read(UNEXPOSE, body);
      if (asked === undefined) return MALFORMED;
      return isLocal(asked.local)
        ? { call: "unexpose", port: asked.local.port }
        : refused(403, "nothing is led there");
    }
    case "POST /services/dns/add": {
      const asked = read(NAMES, body);
      if (asked === undefined) return MALFORMED;
      return asked.Name === "internal." ? { call: "names" } : refused(
        403,
        "names are resolved by sbx, and hosts of the instance's are not known to it",
      );
    }
    default:
      return refused(404, "sbx has no such thing");
  }
}

function refused(status: 400 | 403 | 404, why: string): UsernetCall {
  return { call: "refused", status, why };
}

const MALFORMED = refused(400, "not a call of Lima's");

function isLocal({ address, port }: { readonly address: string; readonly port: number }): boolean {
  return address === LOOPBACK && port > 0 && port <= 65_535;
}

function read<T>(shape: z.ZodType<T>, body: string): T | undefined {
  try {
    return shape.safeParse(JSON.parse(body)).data;
  } catch {
    return undefined;
  }
}
