/**
 * The connection that a request came over, as far as secrets ask: to whom it leads, and how that is known.
 *
 * @module
 */

export interface GateSession {
  /** Whether there is a server behind it. Where there is none, nothing leaves and no value is asked for. */
  readonly open: boolean;
  /** The server proved its name in TLS, with a certificate that was verified. Never so in plain HTTP. */
  readonly verified: boolean;
  /** The name of the TLS session to the server, canonical; null: none. */
  readonly sni: string | null;
  /** Whether sbx resolved this name to the address that the connection is to. Asked for each request. */
  readonly isPinned: (name: string) => boolean;
}
