/** Which publications are left when ports are closed. */
import { expect, test } from "bun:test";
import { leftOf } from "../../lib/sandbox/publication.ts";

const port = (address: string, port: number, guestPort = 80) => ({
  address,
  port,
  guestPort,
  protocol: "tcp" as const,
});
const wanted = (hostPort: number, bind?: string) => ({
  hostPort,
  guestPort: 80,
  protocol: "tcp" as const,
  ...(bind === undefined ? {} : { bind }),
});

test("a publication goes with the last of its own ports, and with nobody else's", () => {
  const [first, second] = [wanted(8000, "127.0.0.1"), wanted(8000, "192.0.2.1")];
  const [one, other] = [port("127.0.0.1", 8000), port("192.0.2.1", 8000)];
  expect(leftOf([first, second], [one], [other])).toEqual([second]);
  expect(leftOf([first, second], [one, other], [])).toEqual([]);

  const both = wanted(8000);
  const [v4, v6] = [port("127.0.0.1", 8000), port("::1", 8000)];
  expect(leftOf([both], [v4], [v6])).toEqual([both]);
  expect(leftOf([both], [v4, v6], [])).toEqual([]);

  const long = wanted(8000, "0:0:0:0:0:0:0:1");
  expect(leftOf([long], [v6], [])).toEqual([]);
  expect(leftOf([wanted(0)], [port("127.0.0.1", 40_000)], [])).toEqual([]);
  expect(leftOf([wanted(8001)], [v4], [])).toEqual([wanted(8001)]);
  expect(leftOf([both], [port("127.0.0.1", 8000, 81)], [])).toEqual([both]);
});
