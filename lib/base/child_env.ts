/**
 * The environment of the processes beside sbx.
 *
 * @module
 */
import process from "node:process";

/** Variables a child gets; the user's environment may hold secrets it has no business with. */
export const CHILD_ENV = { PATH: process.env["PATH"] ?? "/usr/bin:/bin", LANG: "C" };
