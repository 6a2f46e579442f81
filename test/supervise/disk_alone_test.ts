import { expect, test } from "bun:test";
import { Sandbox, type SandboxBuilder } from "../../lib/mod.ts";
import { whyDiskAlone } from "../../lib/supervise/disk_alone.ts";
import { specOf } from "../../lib/supervise/record.ts";

const whyOf = (configure: (builder: SandboxBuilder) => SandboxBuilder) =>
  whyDiskAlone({ name: "dev", spec: specOf(configure(Sandbox.builder("dev").disk("1G")).build()) });

test("what a copy would not know as its own, and what QEMU cannot save, keeps the memory out", () => {
  expect(whyOf((builder) => builder)).toContain("--savable");
  expect(whyOf((builder) => builder.savable())).toBeUndefined();
  expect(whyOf((builder) => builder.savable().mount("/srv", "/work").env("A", "1")))
    .toBeUndefined();
  const rows: readonly (readonly [(builder: SandboxBuilder) => SandboxBuilder, string])[] = [
    [(builder) => builder.mount("/srv", "/work", { as: "copy" }), "copy of a directory"],
    [
      (builder) => builder.network((network) => network.secret("TOKEN=env:OTHER@api.example.com")),
      "placeholders",
    ],
    [(builder) => builder.network((network) => network.tls((tls) => tls.intercept())), "authority"],
  ];
  for (const [configure, why] of rows) {
    expect(whyOf((builder) => configure(builder.savable()))).toContain(why);
    expect(whyOf(configure)).toContain("--savable");
  }
});
