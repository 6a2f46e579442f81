import { expect, test } from "bun:test";
import { defaultDriver, driverNamed } from "../../lib/cli/lima/drivers.ts";

test("Linux has sbx's driver and Lima's QEMU, and sbx's by default", () => {
  expect(defaultDriver("linux")).toBe("sbx");
  expect(driverNamed(undefined, "linux")).toBeUndefined();
  expect(driverNamed("sbx", "linux")).toBe("sbx");
  expect(driverNamed("qemu", "linux")).toBe("qemu");
  expect(() => driverNamed("vz", "linux")).toThrow("only macOS");
  expect(() => driverNamed("kvm", "linux")).toThrow("not a driver");
});

test("macOS has VZ for who asks for it, and no QEMU that nobody can look into", () => {
  expect(() => defaultDriver("darwin")).toThrow("no driver for it by default");
  expect(driverNamed("vz", "darwin")).toBe("vz");
  expect(() => driverNamed("qemu", "darwin")).toThrow("on Linux only");
  expect(() => driverNamed("sbx", "darwin")).toThrow("on Linux only");
});
