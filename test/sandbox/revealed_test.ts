import { expect, test } from "bun:test";
import { requireNoValue } from "../../lib/sandbox/revealed.ts";
import { held } from "../secret/held.ts";

function vaultOf(...values: readonly string[]) {
  const all = values.map((value) => held(value, { hosts: [".allowed.test"] }));
  return { kept: all.slice(0, 1), known: (host: string) => host === "allowed.test" ? all : [] };
}

const refusal = (vault: ReturnType<typeof vaultOf>, text: string) => {
  try {
    requireNoValue(vault, [["its argument 2", text]]);
    return null;
  } catch (error) {
    return error as Error & { code: string; hint: string };
  }
};

test("a text with a value of now or before is refused, without the value in the words", () => {
  const vault = vaultOf("hunter2-value", "hunter2-before");
  for (
    const text of ["hunter2-value", "Authorization: Bearer hunter2-value", "x=hunter2-before;"]
  ) {
    const error = refusal(vault, text);
    expect(error?.code).toBe("USAGE");
    expect(error?.message).toBe(
      "Cannot run the command: its argument 2 has the value of secret API_KEY, and the guest would have it",
    );
    expect(`${error?.message}${error?.hint}`).not.toContain("hunter2");
  }
  for (const text of ["", "hunter2", "$API_KEY", vault.kept[0]?.placeholder.text ?? ""]) {
    expect(refusal(vault, text), text).toBeNull();
  }
});

test("a value that stands in other words by chance counts where it stands alone", () => {
  const vault = vaultOf("test");
  expect(refusal(vault, "test")).not.toBeNull();
  expect(refusal(vault, "testing")).toBeNull();
});
