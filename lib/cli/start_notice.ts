/**
 * What a start has to tell a person, and what of it once on a machine.
 *
 * @module
 */
import { isFirstTelling } from "../api/told_once.ts";
import type { NoticeTopic } from "../mod.ts";
import { ui } from "./ui.ts";

/** `notices`: whether what is known after the first time is told at all. */
export function startNotice(notices: boolean): (line: string, topic?: NoticeTopic) => void {
  return (line, topic) => {
    if (topic === undefined) ui.notice(line);
    else if (notices && !ui.isQuiet && isFirstTelling(line)) {
      ui.notice(`${line}; this is said once, and 'sbx doctor' says it again`);
    }
  };
}
