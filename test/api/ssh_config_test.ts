/** What ssh reads of a sandbox: odd paths stay paths, for ssh and for the shell that it starts. */
import { expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sshConfigOf, sshConfigText } from "../../lib/api/ssh_config.ts";

const keysIn = (place: string) => ({
  identityFile: `${place}/client`,
  knownHostsFile: `${place}/known_hosts`,
  hostKey: "",
  clientKey: "",
});

/** What ssh makes of a file, by the names of its options. */
function readBySsh(text: string): ReadonlyMap<string, string> {
  const file = join(mkdtempSync(join(tmpdir(), "sbx-ssh-")), "config");
  writeFileSync(file, text);
  const told = execFileSync("ssh", ["-G", "-F", file, "dev.sbx"], { encoding: "utf8" });
  return new Map(
    told.split("\n").map((line) => {
      const [name = "", ...value] = line.split(" ");
      return [name, value.join(" ")];
    }),
  );
}

for (const place of ["/home/a/.local/state", "/home/a b/st'a\\te", '/home/"q"/100%d', "/h#x"]) {
  test(`keys below ${place} are found`, () => {
    const read = readBySsh(sshConfigText(sshConfigOf("dev", "root", keysIn(place))));
    // ssh -G prints the file as it will look for it, % being doubled until it does.
    expect(read.get("identityfile")?.replaceAll("%%", "%")).toBe(`${place}/client`);
    expect(read.get("userknownhostsfile")?.replaceAll("%%", "%")).toBe(`${place}/known_hosts`);
  });
}

test("nothing of the user's leads the guest to this machine's keys and screen", () => {
  const block = sshConfigText(sshConfigOf("dev", "1000:1000", keysIn("/k")));
  const read = readBySsh(`${block}\nHost *\n  ForwardAgent yes\n  ForwardX11 yes\n`);
  expect(read.get("forwardagent")).toBe("no");
  expect(read.get("forwardx11")).toBe("no");
  expect(read.get("stricthostkeychecking")).toBe("true");
  expect(read.get("user")).toBe("1000:1000");
  expect(read.get("proxycommand")).toEndWith("__ssh dev %r");
});
