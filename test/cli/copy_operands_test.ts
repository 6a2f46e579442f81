import { expect, test } from "bun:test";
import { parseCopyOperands } from "../../lib/cli/sandbox/copy_operands.ts";

test("one end of a copy is in a sandbox, the other on this machine", () => {
  const rows: [string, string, string, string, string, string][] = [
    ["web:/etc/hosts", ".", "to-host", "web", "/etc/hosts", "."],
    ["web:/srv/.", "/tmp/x/", "to-host", "web", "/srv/.", "/tmp/x/"],
    ["web:etc/hosts", "hosts", "to-host", "web", "/etc/hosts", "hosts"],
    ["web:/a:b", "x", "to-host", "web", "/a:b", "x"],
    ["src", "web:/src", "from-host", "web", "/src", "src"],
    ["./a:b", "web:/x/", "from-host", "web", "/x/", "./a:b"],
    ["/a:b", "web:/x", "from-host", "web", "/x", "/a:b"],
    ["..", "web:/", "from-host", "web", "/", ".."],
    ["\udcff", "web:\udcfe", "from-host", "web", "/\udcfe", "\udcff"],
  ];
  for (const [source, target, direction, sandbox, guestPath, hostPath] of rows) {
    expect(parseCopyOperands(source, target), `${source} ${target}`).toEqual({
      direction: direction as "to-host",
      sandbox,
      guestPath,
      hostPath,
    });
  }
});

test("operands that make no copy say what is wrong", () => {
  const rows: [string, string, RegExp][] = [
    ["a", "b", /neither end/],
    ["a:/x", "b:/y", /both ends/],
    [":/x", "y", /no name/],
    ["web:", "y", /no path/],
    ["", "web:/x", /empty/],
    ["web:/x", "", /empty/],
    ["web:/a\0b", "x", /NUL/],
  ];
  for (const [source, target, message] of rows) {
    expect(() => parseCopyOperands(source, target), `${source} ${target}`).toThrow(message);
  }
});
