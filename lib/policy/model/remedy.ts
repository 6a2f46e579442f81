/**
 * The kinds of change that may let something pass. Which one, and whether it does, the judge finds out by
 * simulation.
 *
 * @module
 */

export type Remedy =
  | "allow-name" // a rule for the name, on the port at hand
  | "allow-address" // a rule for the address
  | "allow-answer" // a rule for each address that an answer points to
  | "ports" // the port is no longer intercepted
  | "bypass" // flows to the name are not opened
  | "opaque" // what is not HTTP is relayed unread
  | "quic" // QUIC is left to the rules
  | "upstream-ca" // the server's authority is trusted
  | "no-verify"; // the server need not prove its name
