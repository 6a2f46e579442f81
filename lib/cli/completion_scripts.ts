/**
 * The shells' side of completion, as files that shells and their checkers read as they are.
 *
 * @module
 */
import bash from "./completion/sbx.bash" with { type: "text" };
import fish from "./completion/sbx.fish" with { type: "text" };
import powershell from "./completion/sbx.ps1" with { type: "text" };
import zsh from "./completion/_sbx" with { type: "text" };

export const COMPLETION_SCRIPTS = { bash, zsh, fish, powershell } as const;

export type Shell = keyof typeof COMPLETION_SCRIPTS;
