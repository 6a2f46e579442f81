import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { limaMac } from "../../lib/guest/lima/link.ts";
import { firstOf, machineId, platformUuid } from "../../lib/host/lima/machine_id.ts";

test("the id of a Mac is its platform's UUID, as Lima reads it", () => {
  const list = `<?xml version="1.0" encoding="UTF-8"?>
<plist version="1.0">
<dict>
	<key>IOObjectClass</key>
	<string>IORegistryEntry</string>
	<key>IORegistryEntryChildren</key>
	<array>
		<dict>
			<key>IOPlatformSerialNumber</key>
			<string>C02</string>
			<key>IOPlatformUUID</key>
			<string>1A008DA1-06E0-49AB-8EC9-88E9C85F67FB</string>
		</dict>
	</array>
</dict>
</plist>
`;
  expect(platformUuid(list)).toBe("1A008DA1-06E0-49AB-8EC9-88E9C85F67FB");
  expect(platformUuid(list.replace("IOPlatformUUID", "IOPlatformName"))).toBeUndefined();
  expect(platformUuid("")).toBeUndefined();
});

test("elsewhere the first file that is there counts, be it empty", () => {
  const dir = mkdtempSync(join(tmpdir(), "sbx-machine-id-"));
  try {
    const [first, second] = [join(dir, "first"), join(dir, "second")];
    expect(firstOf([first, second])).toBeUndefined();
    writeFileSync(second, " 5eed\n");
    expect(firstOf([first, second])).toBe("5eed");
    writeFileSync(first, "\n");
    expect(firstOf([first, second])).toBe("");
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test("this machine has an id, and a card's address is made of it", () => {
  expect(machineId()).not.toBe("");
  expect(limaMac(machineId(), "/h/dev")).toMatch(/^52:55:55(:[0-9a-f]{2}){3}$/);
});
