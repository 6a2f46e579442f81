/**
 * The name of the job that a sandbox is there for.
 *
 * @module
 */

/** Others have numbers. */
export const MAIN_JOB = "main";
