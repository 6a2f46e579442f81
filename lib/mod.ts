/**
 * sbx as a library: runs commands in virtual machines and decides every flow they open.
 *
 * ```ts
 * import { Destination, NetworkPolicy, Rule, Sandbox } from "./lib/mod.ts";
 *
 * await using sandbox = await Sandbox.builder()
 *   .memory(2048)
 *   .mount("./src", "/src", { readOnly: true })
 *   .network((network) =>
 *     network.policy(NetworkPolicy.custom({
 *       rules: [Rule.allowOutbound(Destination.domain("api.example.com"), { ports: [443] })],
 *     }))
 *   )
 *   .create();
 *
 * const { stdout, code } = await sandbox.exec("uname", ["-a"]).output();
 * ```
 *
 * Importing this module does no input or output. Every failure that is not a bug is an
 * {@link SbxError} with a stable `code`.
 *
 * @module
 */
export { type ErrorCode, SbxError } from "./base/errors.ts";
export { Destination, DestinationGroup } from "./policy/destination.ts";
export type { DenyWith, Policy } from "./policy/policy.ts";
export { Action, Direction, PortRange, Protocol, Rule, type RuleScope } from "./policy/rule.ts";
export type { BlockList, DnsSettings, Limits, PolicyFile } from "./policy/settings.ts";
export type { AuthorityFiles, TlsSettings } from "./policy/tls_settings.ts";
export type { SandboxBuilder } from "./sandbox/builder.ts";
export {
  type AuthorityOptions,
  CertificateAuthority,
  type KeptAuthority,
} from "./sandbox/certificate_authority.ts";
export type { Denial } from "./sandbox/denials.ts";
export type { NetworkSummary } from "./sandbox/summary.ts";
export type { NetworkBuilder } from "./sandbox/network_builder.ts";
export { type CustomPolicy, NetworkPolicy } from "./sandbox/network_policy.ts";
export type {
  Mount,
  NetworkOptions,
  Publication,
  PublishedPort,
  SandboxOptions,
} from "./sandbox/options.ts";
export type { TlsBuilder } from "./sandbox/tls_builder.ts";
export type { ExitStatus, Output, SandboxProcess } from "./sandbox/process.ts";
export { type ExecOptions, Sandbox } from "./sandbox/sandbox.ts";
