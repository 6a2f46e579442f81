import { describe, expect, test } from "bun:test";
import { chosenForGuest, fatalAlert, readOffer } from "../../lib/tls/session/offer.ts";

const MODERN = { alpn: ["h2", "http/1.1"], versions: [0x0304, 0x0303], ciphers: [0x1301, 0xc02f] };

describe("readOffer()", () => {
  test("hands on protocols, versions and ciphers that the guest would take", () => {
    expect(readOffer(MODERN, false)).toEqual({
      alpn: ["h2", "http/1.1"],
      minVersion: "TLSv1.2",
      maxVersion: "TLSv1.3",
      ciphers: "ECDHE-RSA-AES128-GCM-SHA256",
    });
  });

  test.each([
    ["a guest without TLS 1.3", { versions: [0x0303] }, { maxVersion: "TLSv1.2" }],
    ["a guest without TLS 1.2", { versions: [0x0304] }, { minVersion: "TLSv1.3" }],
    ["a guest whose suites of 1.2 are unknown", { ciphers: [0x1301, 0x0005] }, {
      minVersion: "TLSv1.3",
      ciphers: "",
    }],
    ["unknown versions (GREASE) beside known ones", { versions: [0x7a7a, 0x0303] }, {
      maxVersion: "TLSv1.2",
    }],
    ["a guest that negotiates no protocol", { alpn: [] }, { alpn: [] }],
    ["a guest of HTTP/1.0", { alpn: ["http/1.0"] }, { alpn: ["http/1.0", "http/1.1"] }],
    ["a guest of both", { alpn: ["http/1.1", "http/1.0"] }, { alpn: ["http/1.1", "http/1.0"] }],
    ["protocols besides HTTP", { alpn: ["h3", "http/1.1", "imap"] }, { alpn: ["http/1.1"] }],
  ])("reads %s", (_what, part, offer) => {
    expect(readOffer({ ...MODERN, ...part }, false)).toMatchObject(offer);
  });

  test("hands on every protocol where anything may pass, in the guest's order", () => {
    expect(readOffer({ ...MODERN, alpn: ["imap", "h2"] }, true))
      .toMatchObject({ alpn: ["imap", "h2"] });
  });

  test.each([
    ["nothing newer than TLS 1.1", { versions: [0x0302, 0x0301] }, 70],
    ["no version at all", { versions: [] }, 70],
    ["TLS 1.2 with suites that nobody should use", { versions: [0x0303], ciphers: [0x0005] }, 40],
    ["HTTP/3 alone", { alpn: ["h3"] }, 120],
  ])("answers %s with an alert", (_what, part, alert) => {
    expect<unknown>(readOffer({ ...MODERN, ...part }, false)).toEqual({ alert });
  });
});

test("chosenForGuest() never tells a guest of a protocol that it did not offer", () => {
  expect(chosenForGuest("http/1.1", { alpn: ["http/1.0"] })).toBe("http/1.0");
  expect(chosenForGuest("http/1.0", { alpn: ["http/1.0"] })).toBe("http/1.0");
  expect(chosenForGuest("http/1.1", { alpn: ["http/1.0", "http/1.1"] })).toBe("http/1.1");
  expect(chosenForGuest("h2", MODERN)).toBe("h2");
  expect(chosenForGuest(null, MODERN)).toBeNull();
});

test("fatalAlert() is one alert record", () => {
  expect([...fatalAlert(70)]).toEqual([21, 3, 3, 0, 2, 2, 70]);
});
