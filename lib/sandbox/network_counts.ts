/**
 * What a network has carried and refused, as numbers.
 *
 * @module
 */

/** Counts since the start, but for those that are open. */
export interface NetworkCounts {
  /** Bytes of frames on the guest's cable, as netstack told them within the last second or two. */
  readonly fromGuestBytes: number;
  /** The same the other way. */
  readonly toGuestBytes: number;
  /** Flows that have reached their other side and not ended. */
  readonly openFlows: number;
  /** Flows that have ever reached it. */
  readonly openedFlows: number;
  /** Flows, names and requests, attempt by attempt. */
  readonly denied: number;
}
