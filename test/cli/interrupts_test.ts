import { expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import { Interrupts } from "../../lib/cli/interrupts.ts";

/** Ctrl-C at these times, with what was printed after each; which of them was one too many. */
function typed(...presses: readonly (readonly [ms: number, printed: string])[]): number[] {
  const interrupts = new Interrupts();
  return presses.flatMap(([ms, printed], index) => {
    const isEnough = interrupts.typed(ms);
    interrupts.printed(Buffer.from(printed));
    return isEnough ? [index + 1] : [];
  });
}

test("the third one is, where nothing but echo answers", () => {
  expect(typed([0, ""], [500, "^C"], [1000, "^C\r\n"])).toEqual([3]);
});

test("none is, where something else is printed, or where time goes by", () => {
  const prompt = "^C\r\n$ ";
  expect(typed([0, prompt], [100, prompt], [200, prompt], [300, prompt])).toEqual([]);
  expect(typed([0, ""], [100, "$"], [200, ""], [300, ""])).toEqual([]);
  expect(typed([0, ""], [1000, ""], [3001, ""], [4000, ""])).toEqual([]);
});
