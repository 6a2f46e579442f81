import { expect, test } from "bun:test";
import { publicOnly } from "../../lib/policy/presets.ts";
import {
  a,
  aaaa,
  cname,
  dataOf,
  extendedError,
  openLab,
  policyOf,
  rcode,
  setOf,
} from "./fixture.ts";

const PUBLIC = publicOnly();
const API = a("api.allowed.test", "93.184.216.34");
const ALLOW_API = policyOf("deny", "allow@api.allowed.test:tcp:443");

test("an answer of the resolver reaches the guest and pins the name", async () => {
  await using lab = await openLab(PUBLIC, [API, aaaa("api.allowed.test", "2606:2800:220::34")]);
  expect(dataOf(await lab.ask("api.allowed.test"))).toEqual(["93.184.216.34"]);
  expect(dataOf(await lab.ask("api.allowed.test", "AAAA"))).toEqual(["2606:2800:220::34"]);
  expect([...lab.pins.namesOf("93.184.216.34")]).toEqual(["api.allowed.test"]);
  expect(lab.pins.has("api.allowed.test", "2606:2800:220::34")).toBe(true);
  expect(lab.events[0]).toMatchObject({
    kind: "dns",
    name: "api.allowed.test",
    type: "A",
    via: "udp",
    verdict: "answered",
    rcode: 0,
    answers: ["93.184.216.34"],
  });
});
