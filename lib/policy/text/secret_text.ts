/**
 * A declared secret in a line for people: who gets it, and where in a request. Never its value.
 *
 * @module
 */
import type { AwsPair, Secret } from "../model/secret.ts";

/** `GITHUB_TOKEN: api.github.com, *.githubusercontent.com (header, basic)`; safe to print. */
export function secretText(secret: Secret): string {
  return `${secret.name}: ${secret.hosts.map(hostText).join(", ")} (${placesText(secret)})`;
}

/** `*.example.com` for a suffix, as people write it. */
export function hostText(host: string): string {
  return host.startsWith(".") ? `*${host}` : host;
}

/** `header, query; only GET below /v1; beside other credentials`: what differs from the usual is said. */
export function placesText(secret: Secret): string {
  const { places, methods, pathPrefix, exclusive, mask } = secret;
  const bounds = [
    ...(methods.length === 0 ? [] : [methods.join(" or ")]),
    ...(pathPrefix === null ? [] : [`below ${pathPrefix}`]),
  ];
  return [
    secret.aws === undefined
      ? [...places].map((place) => place === "header" ? headerText(secret) : place).join(", ")
      : pairText(secret.aws),
    ...(bounds.length === 0 ? [] : [`only ${bounds.join(" ")}`]),
    ...(exclusive ? [] : ["beside other credentials"]),
    ...(mask ? [] : ["unmasked in answers"]),
  ].join("; ");
}

/** `AWS signatures for s3 in eu-central-1` */
function pairText({ regions, services }: AwsPair): string {
  const bounds = [
    ...(services.length === 0 ? [] : [`for ${services.join(" or ")}`]),
    ...(regions.length === 0 ? [] : [`in ${regions.join(" or ")}`]),
  ];
  return ["AWS signatures", ...bounds].join(" ");
}

function headerText({ headers }: Secret): string {
  switch (headers.kind) {
    case "credentials":
      return "header";
    case "any":
      return "any header";
    case "listed":
      return `header ${[...headers.keys].join(" ")}`;
  }
}
