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
export { type Complaint, type ErrorCode, SbxError } from "./base/errors.ts";
export type { TestRow } from "./judge/expectations.ts";
export {
  Destination,
  type DestinationConstructor,
  DestinationGroup,
} from "./policy/model/destination.ts";
export type { NameSet } from "./policy/model/name_set.ts";
export {
  Action,
  type DenyWith,
  type Destination as DestinationValue,
  Direction,
  type Group,
  type Pin,
  type Policy,
  type PortRange as PortRangeValue,
  Protocol,
  type ReasonId,
  type Rule as RuleValue,
} from "./policy/model/policy.ts";
export {
  PortRange,
  type PortRangeConstructor,
  Rule,
  type RuleConstructor,
  type RuleScope,
} from "./policy/model/rule.ts";
export type { PresetName } from "./policy/model/presets.ts";
export type { Expectation } from "./policy/file/expectation.ts";
export type { AddedHost } from "./policy/text/added_host.ts";
export type { FlowTarget } from "./policy/text/flow_text.ts";
export {
  type AwsPair,
  type AwsPart,
  type HeaderSelection,
  type Place,
  type Secret,
  type SecretSettings,
  type Source as SecretSource,
  type TokenEndpoint,
  ViolationAction,
} from "./policy/model/secret.ts";
export type { BlockList, DnsSettings, Limits, PolicyFile } from "./policy/model/settings.ts";
export type { AuthorityFiles, TlsSettings } from "./policy/model/tls_settings.ts";
export type {
  DiskOptions,
  JournalOptions,
  MountOptions,
  SandboxBuilder,
} from "./api/sandbox_builder.ts";
export {
  type AuthorityOptions,
  CertificateAuthority,
  type InitOptions,
  type KeptAuthority,
  type RotateOptions,
} from "./api/certificate_authority.ts";
export {
  type KeptIn,
  type KeptSecret,
  SecretStore,
  type SetSecretOptions,
  type StoredSecret,
} from "./api/secret_store.ts";
export {
  type BuildTemplateOptions,
  type KeptTemplate,
  type TemplateBuild,
  type TemplateManifest,
  Templates,
  type TemplateSize,
} from "./api/templates.ts";
export { type JournalRecord, readJournal, type ReadJournalOptions } from "./api/journal.ts";
export { type BuildInfo, licences, versions } from "./api/versions.ts";
export type { TemplateUse } from "./guest/guest.ts";
export type { NoticeTopic } from "./guest/provider.ts";
export { type CheckResult, doctor, type DoctorOptions, type Finding } from "./api/doctor.ts";
export type { Denial, DenialCount } from "./journal/denials.ts";
export type { NetworkSummary } from "./journal/summary.ts";
export { type FlowOutcome, type PolicyChange, policyChangeLines } from "./journal/policy_change.ts";
export type { MovedRule, PlacedRule, RuleDifference } from "./policy/text/rule_difference.ts";
export type { NetworkBuilder } from "./api/network_builder.ts";
export {
  type CustomPolicy,
  NetworkPolicy,
  type NetworkPolicyConstructor,
  type SpellOptions,
} from "./api/network_policy.ts";
export type { PolicyCheck, UnreachableSecret } from "./api/policy_check.ts";
export type { Warning as PolicyWarning, WarningCode } from "./policy/decide/warnings.ts";
export type {
  Disk,
  Mount,
  MountAs,
  NetworkOptions,
  Publication,
  PublishedPort,
  SandboxOptions,
} from "./sandbox/options.ts";
export type { AwsOptions, BuiltSecret, SecretBuilder } from "./api/secret_builder.ts";
export type { TlsBuilder } from "./api/tls_builder.ts";
export type { ProgramValue, ProgramValues, SecretReading } from "./secret/program_values.ts";
export type {
  CopyReport,
  FileEntry,
  FileKind,
  FileOptions,
  FileStat,
  MakeOptions,
  MkdirOptions,
  ReadOptions,
  RemoveOptions,
  SandboxFiles,
  WriteOptions,
} from "./sandbox/files.ts";
export type {
  ApplyChangesOptions,
  ApplyReport,
  Change,
  ChangedFile,
  ChangeKind,
  Changes,
  ChangeSelection,
  FailedChange,
  HeldReason,
} from "./sandbox/changes/change.ts";
export type {
  ApplyOptions as ApplyOptionsOfChanges,
  DiffOptions,
  SandboxChanges,
} from "./api/sandbox_changes.ts";
export type { ExitStatus, Output, SandboxProcess } from "./sandbox/process.ts";
export type { SignalName } from "./base/signal.ts";
export { Sandbox, type SandboxConstructor } from "./api/sandbox.ts";
export type { NamedSandbox } from "./api/named_sandbox.ts";
export type { Abortable } from "./api/abortable.ts";
export type {
  AttachOptions,
  ForkOptions,
  LogOptions,
  RemoveNamedOptions,
  SnapshotOptions,
  SshOptions,
  StartNamedOptions,
  StopOptions,
} from "./api/named_options.ts";
export type { SandboxDescription, SandboxInfo } from "./api/sandbox_info.ts";
export type { SnapshotInfo } from "./api/snapshots.ts";
export type { DetachedOptions, MainCommandOptions } from "./api/detached.ts";
export type { Proven } from "./guest/lima/proof_part.ts";
export type { JobInfo } from "./supervise/jobs.ts";
export type { LogPiece } from "./supervise/job_log.ts";
export type { SandboxStatus } from "./supervise/state.ts";
export type { Failure } from "./base/failure.ts";
export type { EventKind, EventsOptions, SandboxEvent } from "./sandbox/events.ts";
export type { ApplyOptions, NetworkSettings } from "./sandbox/live_settings.ts";
export type { ProcessMetrics, SandboxMetrics } from "./sandbox/metrics.ts";
export type { NetworkCounts } from "./sandbox/network_counts.ts";
export type { Forwarding } from "./sandbox/forwarding.ts";
export { type SshConfig, sshConfigText } from "./api/ssh_config.ts";
export type { SandboxSsh } from "./api/sandbox_ssh.ts";
export type { ConnectOptions, GuestConnection } from "./sandbox/connection.ts";
export type { WaitOptions } from "./sandbox/wait_for_port.ts";
export type { ProcessUsage } from "./host/process_usage.ts";
export type { HostProcess } from "./guest/guest.ts";
export type { GuestUsage } from "./guest/agent/result.ts";
export type { RunningSandbox } from "./api/running_sandbox.ts";
export type { PortSelection, Unpublished } from "./sandbox/publication.ts";
export type { ExecOptions, TerminalOptions } from "./sandbox/exec_options.ts";
