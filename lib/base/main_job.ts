/**
 * The name of the job that a sandbox is there for, which a command line knows without a supervisor.
 *
 * @module
 */

/** Others have numbers. */
export const MAIN_JOB = "main";
