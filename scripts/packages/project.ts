/**
 * What packages say of the project, in one place.
 *
 * @module
 */
export const PROJECT = {
  /** Homebrew wants it below 80 characters, without the name or an article in front. */
  description: "Run untrusted code in virtual machines whose every flow you decide",
  homepage: "https://sbx.dev",
  /** Where files of a release are downloaded from; the version is a folder below it. */
  downloads: "https://sbx.dev/releases",
  licence: "Apache-2.0",
  maintainer: "The sbx authors <packages@sbx.dev>",
  npmScope: "@sbx-dev",
} as const;
