/**
 * SQLite files made in memory.
 *
 * @module
 */
import type { Statement } from "../guest/root/nss_database.ts";

/** Loads SQLite, which few sandboxes need, at the first call. */
export async function makeDatabase(statements: readonly Statement[]): Promise<Uint8Array> {
  const { Database } = await import("bun:sqlite");
  const database = new Database(":memory:");
  try {
    for (const { sql, values = [] } of statements) database.run(sql, [...values]);
    return database.serialize();
  } finally {
    database.close();
  }
}
