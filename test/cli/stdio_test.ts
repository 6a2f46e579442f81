import { expect, test } from "bun:test";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { run } from "../support/process.ts";

const HERE = dirname(fileURLToPath(import.meta.url));
const PUMP = `'${process.execPath}' '${join(HERE, "stdio_fixture.ts")}'`;

function shell(script: string) {
  return run(["/bin/sh", "-c", script]);
}

test("bytes pass unchanged, every value and at every size", async () => {
  const { stdout } = await shell(
    `d=$(mktemp -d); head -c 3000001 /dev/urandom > $d/in; ${PUMP} < $d/in 2>/dev/null > $d/out; ` +
      `cmp $d/in $d/out && cat $d/in | ${PUMP} 2>/dev/null | cmp - $d/in && echo same; rm -r $d`,
  );
  expect(stdout).toBe("same\n");
});

test("a slow reader holds the writer back instead of filling memory", async () => {
  const { stderr, stdout } = await shell(
    `head -c 1073741824 /dev/zero | ${PUMP} | (sleep 1; wc -c)`,
  );
  const [how, peak] = stderr.trim().split("\n");
  expect(stdout.trim()).toBe("1073741824");
  expect(how).toBe("delivered");
  expect(Number(peak)).toBeLessThan(200);
});

test("a reader that goes away is noticed", async () => {
  const { stderr, stdout } = await shell(`yes | ${PUMP} | head -n 1`);
  expect(stdout).toBe("y\n");
  expect(stderr.split("\n")[0]).toBe("broken");
});

test("an input that is empty or closed is the end of input", async () => {
  for (const input of ["</dev/null", "<&-"]) {
    const { stdout, stderr } = await shell(`${PUMP} ${input}`);
    expect(stdout).toBe("");
    expect(stderr.split("\n")[0]).toBe("delivered");
  }
});
