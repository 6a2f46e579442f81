/**
 * Puts one sandbox together: netstack, the network that decides for it, and the guest. What can fail
 * without a guest is done before it boots, so that a typing error costs no second.
 *
 * @module
 */
import { setTimeout as delay } from "node:timers/promises";
import { SbxError } from "../base/errors.ts";
import { escapeText } from "../base/escape.ts";
import type { GuestNetwork } from "../guest/guest.ts";
import { findMachine, startGuest } from "../guest/start.ts";
import { assetPath } from "../host/assets.ts";
import { hostAddresses, systemResolvers } from "../host/network.ts";
import { cacheDir } from "../host/paths.ts";
import { type NetstackProcess, spawnNetstack, spawnQemu } from "../host/processes.ts";
import type { TlsSettings } from "../policy/tls_settings.ts";
import { guestTrust } from "./guest_trust.ts";
import { makeDatabase } from "../host/sqlite.ts";
import { readBlockedNames } from "./blocked_names.ts";
import type { Interceptor } from "./interceptor.ts";
import { type Journal, NO_JOURNAL } from "./journal.ts";
import { openJournal } from "./journal_file.ts";
import { Lifetime, type Part } from "./lifetime.ts";
import { LINK, MTU } from "./link.ts";
import { resolveMounts } from "./mounts.ts";
import { type Network, openNetwork } from "./network.ts";
import type { PublishedPort, SandboxOptions } from "./options.ts";
import { policyNotices } from "./policy_notices.ts";
import { resolverAt } from "./resolver_at.ts";
import { Sandbox } from "./sandbox.ts";

/** How long one question to the resolvers may take when nobody says otherwise. */
const DNS_TIMEOUT_MS = 5000;

/** netstack ends when its control channel does; one that takes longer than this is stuck. */
const NETSTACK_GRACE_MS = 1000;

/** How long a start that is given up may take to leave nothing behind. */
const GIVE_UP_MS = 1000;

/** See `SandboxBuilder.create`. */
export async function start(options: SandboxOptions, signal?: AbortSignal): Promise<Sandbox> {
  signal?.throwIfAborted();
  const lifetime = new Lifetime();
  const abort = () =>
    void lifetime.end(new SbxError("STOPPED", "Cannot start the sandbox: aborted"));
  signal?.addEventListener("abort", abort);
  const composing = compose(options, lifetime);
  try {
    return await lifetime.until(composing, "start the sandbox");
  } catch (error) {
    await lifetime.end();
    // What was being started when the end came is no part yet; it sees the end and goes by itself.
    await Promise.race([composing.catch(() => {}), delay(GIVE_UP_MS, undefined, { ref: false })]);
    throw error;
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}

async function compose(options: SandboxOptions, lifetime: Lifetime): Promise<Sandbox> {
  const mounts = await resolveMounts(options.mounts);
  for (const line of policyNotices(options.network)) options.onNotice?.(line);
  const host = { assetPath, cacheDir, makeDatabase, spawnQemu };
  const machine = findMachine(host);
  machine.catch(() => {}); // awaited below, unless something else fails first
  const journal = options.journal === undefined ? NO_JOURNAL : openJournal(options.journal);
  lifetime.add(journalPart(journal, lifetime, options));
  const cable = options.network.policy.network
    ? await connect(options, journal, lifetime)
    : undefined;
  const guest = await startGuest(
    {
      hostname: options.name,
      cpus: options.cpus,
      memoryMiB: options.memoryMiB,
      mounts,
      notice: (line) => options.onNotice?.(line),
      ended: lifetime.ending,
      trust: () => guestTrust(options.network.tls, cable?.authority),
      ...(cable === undefined ? {} : { network: cableEnd(cable.netstack) }),
    },
    host,
    await lifetime.until(machine, "start the sandbox"),
  );
  lifetime.add({ gone: guest.exited, stop: () => guest.stop() });
  cable?.netstack.releaseFrames();
  return new Sandbox({
    options,
    lifetime,
    guest,
    published: cable?.published ?? [],
    ...(cable === undefined ? {} : { network: cable.network }),
  });
}

/** The network's side of the cable, ready for a guest to be plugged in. */
interface Cable {
  readonly netstack: NetstackProcess;
  readonly network: Network;
  /** The certificates of whoever answers for intercepted servers. */
  readonly authority?: readonly string[];
  readonly published: readonly PublishedPort[];
}

async function connect(
  options: SandboxOptions,
  journal: Journal,
  lifetime: Lifetime,
): Promise<Cable> {
  const { policy, dns, tls, publish, maxConnections, newFlowsPerSecond } = options.network;
  const onNotice = (line: string) => options.onNotice?.(line);
  const [binary, blocked, interceptor] = await Promise.all([
    assetPath("netstack"),
    readBlockedNames(dns),
    interceptorFor(tls, onNotice),
  ]);
  const servers = dns.servers.length > 0 ? dns.servers : hostResolvers(onNotice);
  const netstack = spawnNetstack(binary);
  const network = await openNetwork({
    control: netstack.control,
    flows: netstack.flows,
    policy,
    blocked,
    rebindProtection: dns.rebindProtection,
    blockDoh: dns.blockDoh,
    resolvers: servers.map(resolverAt),
    dnsTimeoutMs: dns.timeoutMs ?? DNS_TIMEOUT_MS,
    ...(interceptor === undefined ? {} : { interceptor }),
    ...(maxConnections === undefined ? {} : { maxConnections }),
    ...(newFlowsPerSecond === undefined ? {} : { newFlowsPerSecond }),
    hostAddresses,
    journal,
    onDenial: (denial) => options.onDenial?.(denial),
    onNotice,
  }).catch((error) => {
    netstack.kill();
    throw error;
  });
  lifetime.add(netstackPart(netstack, network));
  const published: PublishedPort[] = [];
  for (const publication of publish) published.push(...await network.publish(publication));
  return {
    netstack,
    network,
    published,
    ...(interceptor === undefined ? {} : { authority: interceptor.authority }),
  };
}

/** Most sandboxes intercept nothing, and load nothing that they would need for it. */
async function interceptorFor(
  tls: TlsSettings,
  onNotice: (line: string) => void,
): Promise<Interceptor | undefined> {
  if (!tls.intercept) return undefined;
  const { openInterceptor } = await import("./interceptor.ts");
  return await openInterceptor(tls, onNotice);
}

/** A machine without resolvers can still run guests that name nothing. */
function hostResolvers(onNotice: (line: string) => void): readonly string[] {
  try {
    return systemResolvers();
  } catch (error) {
    if (!(error instanceof SbxError)) throw error;
    onNotice(`names will not resolve: ${error.message}; name a resolver with --dns-server`);
    return [];
  }
}

/** netstack and its channel: either one's end is the end of both. */
function netstackPart(netstack: NetstackProcess, network: Network): Part {
  const gone = network.closed.then(async (error) => {
    const timer = setTimeout(() => netstack.kill(), NETSTACK_GRACE_MS);
    await netstack.exited;
    clearTimeout(timer);
    const said = netstack.stderrTail().trim().split("\n")[0] ?? "";
    if (error === undefined || said === "") return error;
    return new SbxError(error.code, `${error.message}; it last said: ${escapeText(said)}`);
  });
  return { gone, stop: () => network.close() };
}

/** The journal's last line says how the sandbox ended, so it is closed last. */
function journalPart(journal: Journal, lifetime: Lifetime, options: SandboxOptions): Part {
  const { promise: gone, resolve } = Promise.withResolvers<undefined>();
  return {
    gone,
    async stop() {
      const reason = await lifetime.ending;
      journal.write({ event: "end", ...(reason === undefined ? {} : { error: reason.message }) });
      const lost = await journal.close();
      if (lost > 0) {
        const lines = lost === 1 ? "1 line" : `${lost} lines`;
        options.onNotice?.(`the journal lacks ${lines}, because it could not be written`);
      }
      resolve(undefined);
    },
  };
}

/** The guest's end of the cable. */
function cableEnd({ framesFd }: NetstackProcess): GuestNetwork {
  const { guest, gateway } = LINK;
  return {
    framesFd,
    mac: guest.mac,
    mtu: MTU,
    guest4: guest.ip4,
    guest6: guest.ip6,
    gateway4: gateway.ip4,
    gateway6: gateway.ip6,
  };
}
