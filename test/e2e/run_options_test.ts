/**
 * Options that people know from container tools, and what passes to the command as it is.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import process from "node:process";
import { openWorld, SBX, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld({ bare: true });
});
afterAll(() => world?.[Symbol.asyncDispose]());

const run = (options: readonly string[], script: string) =>
  world.sbx(["run", "-q", "--no-net", ...options, "--", "sh", "-c", script]);

test("arguments and variables arrive as the bytes that they were", async () => {
  // A shell makes the bytes, as no test runner can.
  const script = [
    "a=$(printf 'x\\377\\200y'); B=$(printf '\\303\\050'); export B",
    'exec "$0" run -q --no-net -e "A=$a" -e B -- sh -c \'printf "%s|%s|%s|" "$1" "$A" "$B"; printf %s "$2"\' sh "$a" "ü €"',
  ].join("\n");
  const seen = await world.run(["sh", "-c", script, SBX], {
    env: { XDG_CACHE_HOME: `${process.cwd()}/.cache/test` },
  });
  expect(seen.stderr).toBe("");
  const bytes = [0x78, 0xff, 0x80, 0x79];
  expect([...seen.bytes]).toEqual([
    ...bytes,
    0x7c,
    ...bytes,
    0x7c,
    0xc3,
    0x28,
    0x7c,
    ...new TextEncoder().encode("ü €"),
  ]);
}, 120_000);

test("strings may be as long as Linux takes them, and longer ones cannot be executed", async () => {
  const long = (bytes: number) => "x".repeat(bytes);
  const argument = await world.sbx([
    ...["run", "-q", "--no-net", "--", "sh", "-c", "echo ${#1} $#", "sh"],
    ...Array(14).fill(long(131_071)),
  ]);
  expect(argument).toMatchObject({ status: 0, stdout: "131071 14\n" });
  const { writeFileSync } = await import("node:fs");
  const file = `${world.scratch}/long.env`;
  writeFileSync(file, `A=${long(200_000)}\n`);
  const beyond = await run(["--env-file", file], "echo ran");
  expect(beyond).toMatchObject({ status: 126, stdout: "" });
  expect(beyond.stderr).toContain("argument list too long");
}, 120_000);

test("a command can be another user, by name or number, with a group and a home", async () => {
  const script =
    'id -u; id -g; echo "$HOME $PWD ${USER-none}"; echo out > /dev/stdout; touch /root/x 2>/dev/null || echo kept out';
  expect((await run(["-u", "nobody", "-e", "HOME=/tmp"], script)).stdout).toBe(
    "65534\n65534\n/tmp /tmp nobody\nout\nkept out\n",
  );
  expect((await run(["--user", "4321:42"], script)).stdout).toBe(
    "4321\n42\n/ / none\nout\nkept out\n",
  );
  expect((await run(["-u", "root"], script)).stdout).toBe("0\n0\n/root /root root\nout\n");
  const unknown = await run(["-u", "no-such-user"], script);
  expect(unknown).toMatchObject({ status: 126, stdout: "" });
  expect(unknown.stderr).toContain("no user no-such-user in the guest");
}, 180_000);

test("a host name may have labels, and --rm says nothing new", async () => {
  const seen = await run(
    ["--rm", "--hostname", "a.build.test"],
    "hostname; hostname -f; getent hosts a | cut -c1-4",
  );
  expect(seen).toMatchObject({ status: 0, stdout: "a.build.test\na.build.test\n::1 \n" });
}, 120_000);
