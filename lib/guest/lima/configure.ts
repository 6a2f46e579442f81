/**
 * What sbx changes of an instance before Lima writes the guest's cloud-init. Pure.
 *
 * @module
 */
import { environmentScript, isEnvironmentScript } from "./environment.ts";
import { limaLink } from "./link.ts";
import { isTrusted, trusted } from "./trusted.ts";

type Json = Readonly<Record<string, unknown>>;

/** What the guest is told of its network. */
export interface Told {
  /** Certificates in PEM; empty: nothing is intercepted. */
  readonly authority: readonly string[];
  /** Variables with the placeholders of secrets; empty: there are none any more. Absent: there never were. */
  readonly placeholders?: Readonly<Record<string, string>>;
}

/**
 * The instance as Lima gave it, with what a guest of sbx needs: its resolver is the gateway, Lima opens
 * none of its own, no proxy of this machine's is passed on (its address may hold a password), the guest
 * trusts who answers for what is intercepted, and its programs find the placeholders of secrets.
 */
export function configured(instance: Json, { authority, placeholders }: Told): Json {
  const config = mapOf(instance["config"]);
  const dns = Array.isArray(config["dns"]) && config["dns"].length > 0
    ? config["dns"]
    : [limaLink("").gateway.ip4];
  const caCerts = mapOf(config["caCerts"]);
  const provision = Array.isArray(config["provision"]) ? config["provision"] : [];
  const certs = Array.isArray(caCerts["certs"]) ? caCerts["certs"] : [];
  return {
    ...instance,
    config: {
      ...config,
      // Lima ends with a panic when nobody chose one, even where nothing is mounted.
      mountType: config["mountType"] ?? "reverse-sshfs",
      dns,
      hostResolver: { ...mapOf(config["hostResolver"]), enabled: false },
      propagateProxyEnv: false,
      ...(placeholders === undefined ? {} : {
        provision: [...provision.filter((each) => !isEnvironmentScript(each)), {
          mode: "system",
          script: environmentScript(placeholders),
        }],
      }),
      caCerts: {
        ...caCerts,
        certs: [...certs.filter((each) => !isTrusted(each)), ...authority.map(trusted)],
      },
    },
  };
}

function mapOf(value: unknown): Json {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? value as Json : {};
}
