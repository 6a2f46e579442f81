/**
 * Sizes as people write them. Pure.
 *
 * @module
 */

export const MIB = 1024 ** 2;
export const GIB = 1024 ** 3;
export const TIB = 1024 ** 4;

const UNITS: Readonly<Record<string, number>> = { m: MIB, g: GIB, t: TIB };

/**
 * Bytes of `512M`, `20G` or `1.5TiB`; null for anything else. `plain`: how many bytes one is in a number
 * without a unit; absent, it needs one.
 */
export function parseSize(text: string, plain = NaN): number | null {
  const [, amount, unit] = /^(\d+(?:\.\d+)?)([mgt])?(?:i?b)?$/i.exec(text) ?? [];
  const bytes = Number(amount) * (unit === undefined ? plain : UNITS[unit.toLowerCase()] ?? NaN);
  return Number.isFinite(bytes) ? Math.floor(bytes) : null;
}

/** Rounded up: `90 MiB`. */
export function wholeMiB(bytes: number): string {
  return `${Math.ceil(bytes / MIB)} MiB`;
}

/** As {@link parseSize} reads it, in the largest unit that leaves a whole number: `20G`, `1536M`. */
export function formatSize(bytes: number): string {
  const [unit, size] = Object.entries(UNITS).findLast(([, size]) => bytes % size === 0) ?? ["", 1];
  return `${bytes / size}${unit.toUpperCase()}`;
}
