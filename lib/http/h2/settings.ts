/**
 * What an HTTP/2 peer allows us (RFC 9113 6.5, RFC 8441 3). Pure.
 *
 * @module
 */
import type { Buffer } from "node:buffer";
import { Code, H2Error, MAX_PAYLOAD, MAX_WINDOW, Setting } from "./frame.ts";

export interface PeerSettings {
  readonly headerTableSize: number;
  readonly maxConcurrentStreams: number;
  readonly initialWindowSize: number;
  /** Servers: CONNECT with `:protocol` opens WebSockets. */
  readonly connectProtocol: boolean;
}

export const DEFAULT_SETTINGS: PeerSettings = {
  headerTableSize: 4096,
  maxConcurrentStreams: Infinity,
  initialWindowSize: 65_535,
  connectProtocol: false,
};

/** The settings after this payload; those it does not name stay. @throws H2Error */
export function applySettings(settings: PeerSettings, payload: Buffer): PeerSettings {
  if (payload.length % 6 !== 0) throw new H2Error(Code.FrameSize, "settings cut short");
  let next = settings;
  for (let at = 0; at < payload.length; at += 6) {
    next = apply(next, payload.readUInt16BE(at), payload.readUInt32BE(at + 2));
  }
  return next;
}

function apply(settings: PeerSettings, id: number, value: number): PeerSettings {
  switch (id) {
    case Setting.HeaderTableSize:
      return { ...settings, headerTableSize: value };
    case Setting.MaxConcurrentStreams:
      return { ...settings, maxConcurrentStreams: value };
    case Setting.InitialWindowSize:
      if (value > MAX_WINDOW) throw new H2Error(Code.FlowControl, "a window too large");
      return { ...settings, initialWindowSize: value };
    case Setting.MaxFrameSize:
      if (value < MAX_PAYLOAD || value > 0xffffff) throw invalid("a frame size out of range");
      return settings; // we send no more than all take
    case Setting.EnablePush:
      if (value > 1) throw invalid("neither push nor none");
      return settings;
    case Setting.EnableConnectProtocol:
      if (value > 1 || (settings.connectProtocol && value === 0)) throw invalid("a changed mind");
      return { ...settings, connectProtocol: value === 1 };
    default:
      return settings;
  }
}

function invalid(what: string): H2Error {
  return new H2Error(Code.Protocol, what);
}
