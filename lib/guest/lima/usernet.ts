/**
 * The network of Lima's kind `user-v2` behind which sbx is in the place of Lima's daemon. Pure.
 *
 * @module
 */

/** Its name. */
export const USERNET = "sbx";
