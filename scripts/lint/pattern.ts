/**
 * Whether a regular expression can take more than linear time, in an engine that backtracks.
 *
 * Versions are those of deno.json: the linter loads plug-ins where there is no import map, too.
 *
 * @module
 */
import { AST, visitRegExpAST } from "npm:@eslint-community/regexpp@4.12.3";
import { getFirstConsumedChar, toCache } from "npm:regexp-ast-analysis@0.7.1";
import { analyse } from "npm:scslre@0.3.0";

/** What is wrong in a few words; null for a linear pattern. */
export function superLinear(source: string, flags: string): string | null {
  const { reports: [report], parsed } = analyse({ source, flags }, { maxReports: 1 });
  if (report === undefined) return restart(parsed.pattern, parsed.flags);
  switch (report.type) {
    case "Trade":
      return `${report.startQuant.raw} and ${report.endQuant.raw} take the same characters`;
    case "Self":
      return `${report.parentQuant.raw} repeats ${report.quant.raw}`;
    case "Move":
      return `a search tries ${report.quant.raw} again from each of its characters`;
  }
}

/**
 * A search that begins anew inside a repetition that it has read in vain: `BEGIN[^]*END` of a text that
 * is full of BEGIN.
 */
function restart(pattern: AST.Pattern, flags: AST.Flags): string | null {
  if (flags.sticky) return null;
  let found: string | null = null;
  for (const alternative of pattern.alternatives) {
    const [head] = alternative.elements;
    const anchored = head?.type === "Assertion" && head.kind === "start";
    if (anchored && !flags.multiline) continue;
    const first = getFirstConsumedChar(alternative, "ltr", toCache(flags)).char;
    visitRegExpAST(alternative, {
      onQuantifierEnter(quantifier) {
        if (quantifier.max !== Infinity || !canFailBehind(quantifier, alternative)) return;
        const repeated = getFirstConsumedChar(quantifier.element, "ltr", toCache(flags)).char;
        if (anchored ? !repeated.has(LINE_FEED) : repeated.isDisjointWith(first)) return;
        found ??= `a search that ${quantifier.raw} read in vain begins again inside of it`;
      },
    });
  }
  return found;
}

/** Behind it a pattern that begins with ^ may begin. */
const LINE_FEED = 10;

/** Whether anything stands behind the node that could make what it took be in vain. */
function canFailBehind(node: AST.Quantifier, root: AST.Alternative): boolean {
  for (let at: AST.Node = node; at !== root;) {
    const parent: AST.Node | null = at.parent;
    if (parent === null) return false;
    if (parent.type === "Alternative" && parent.elements.at(-1) !== at) return true;
    at = parent;
  }
  return false;
}
