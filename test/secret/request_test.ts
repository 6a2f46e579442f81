/**
 * Whole requests as a relay sends them on: the boundary decides, the substituters do, the tripwire looks.
 */
import { expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import type { BodyKind } from "../../lib/secret/body_kind.ts";
import { formsOf } from "../../lib/secret/forms.ts";
import { grantsOf, type HeldSecret, type RequestFacts } from "../../lib/secret/grant.ts";
import { PLACES } from "../../lib/policy/model/secret.ts";
import { substituteBody } from "../../lib/secret/substitute_body.ts";
import {
  type HeadField,
  type RequestHead,
  substituteHead,
} from "../../lib/secret/substitute_head.ts";
import { Tripwire } from "../../lib/secret/tripwire.ts";
import { sortSightings } from "../../lib/secret/violation.ts";
import { cut, type Random, random } from "../support/random.ts";
import { held, TRUSTED } from "./held.ts";

interface Request {
  readonly head: RequestHead;
  readonly kind: BodyKind;
  readonly body: string;
}

const field = (name: string, value: string): HeadField => ({
  name,
  key: name.toLowerCase(),
  value,
});
const wire = (text: string) => Buffer.from(text, "utf8").toString("latin1");
const base64 = (text: string) => Buffer.from(text, "utf8").toString("base64");
const percent = (text: string) =>
  encodeURIComponent(text).replace(
    /[!'()*]/g,
    (one) => "%" + one.charCodeAt(0).toString(16).toUpperCase(),
  );

/** A request as a function of the keys that its guest has. */
function randomRequest({ below, pick }: Random): (keys: readonly string[]) => Request {
  const headers = below(5);
  const target = below(3);
  const kind = pick<BodyKind>([{ kind: "json" }, { kind: "form" }, { kind: "plain" }]);
  const filler = "x".repeat(below(50));
  const order = Array.from({ length: 3 }, () => below(8));
  return (keys) => {
    const [a = "", b = "", c = ""] = order.map((n) => keys[n % keys.length] ?? "");
    const fields = [field("Host", "api.allowed.test")];
    if (headers === 0) fields.push(field("Authorization", `Bearer ${wire(a)}`));
    if (headers === 1) fields.push(field("Authorization", `Basic ${base64(`me:${a}`)}`));
    if (headers === 2) fields.push(field("X-Api-Key", wire(a)), field("X-Other", wire(b)));
    if (headers === 3) fields.push(field("Cookie", wire(`a=${a}; b=${filler}`)));
    const targets = ["/v1", `/v1?k=${percent(b)}&f=${filler}`, `/v1/${percent(b)}/${filler}`];
    const body = {
      json: () => JSON.stringify({ [filler]: [c, { text: `${filler}${a}` }] }),
      form: () => `a=${percent(c)}&b=${percent(filler + a)}`,
      plain: () => `${filler}\n${c}${a}\n`,
    }[kind.kind as "json" | "form" | "plain"]();
    return { head: { method: "POST", target: targets[target] ?? "/", fields }, kind, body };
  };
}

/** What leaves for the server. */
function sent(
  request: Request,
  secrets: readonly HeldSecret[],
  facts: RequestFacts,
  numbers: Random,
): Request {
  const grants = grantsOf(secrets, facts);
  const result = substituteHead(request.head, grants);
  if (result.kind === "refused") throw new Error(result.why);
  const stream = substituteBody(request.kind, grants);
  const pieces = cut(Buffer.from(request.body), numbers).map((piece) =>
    Buffer.from(stream.push(piece))
  );
  const fields = result.head.fields.map(({ name, value }) => field(name, value));
  const body = Buffer.concat([...pieces, stream.end()]).toString();
  return { ...request, head: { ...result.head, fields }, body };
}

const written = ({ head, body }: Request): string =>
  [head.target, ...head.fields.map(({ value }) => value), wire(body)].join("\n");

const BREACHES: readonly Partial<RequestFacts>[] = [
  { verified: false },
  { pinned: false },
  { sni: null },
  { sni: "evil.test", authority: "evil.test" },
  { authority: "evil.test" },
  { sni: "evil.test" },
  { sni: "evil.api.allowed.test", authority: "evil.api.allowed.test" },
];

test(
  "an allowed host gets the request of a guest that has the values, any other none of them",
  () => {
    const numbers = random(71);
    const { below, pick } = numbers;
    const letters = [..."abXYZ019 +&=%\"'\\/<>;:-\u00e4$`"];
    for (let round = 0; round < 1_000; round++) {
      const secrets = Array.from({ length: 1 + below(3) }, (_, n) =>
        held(
          `v${Array.from({ length: 10 + below(40) }, () => pick(letters)).join("")}v`,
          {
            name: `KEY_${n}`,
            places: new Set(PLACES),
            headers: { kind: "any" },
            format: pick([null, "sk-*", "AKIA*"]),
          },
        ));
      const build = randomRequest(numbers);
      const request = build(secrets.map(({ placeholder }) => placeholder.text));
      const real = build(secrets.map(({ value }) => value.reveal()));
      expect(sent(request, secrets, TRUSTED, numbers)).toEqual(real);

      const facts = { ...TRUSTED, ...pick(BREACHES) };
      const elsewhere = sent(request, secrets, facts, numbers);
      expect(elsewhere).toEqual(request);
      const bytes = written(elsewhere);
      const values = secrets.flatMap(({ value, placeholder }) =>
        formsOf(value.reveal(), placeholder.text).map(([form]) =>
          Buffer.from(form).toString("latin1")
        )
      );
      expect(values.filter((form) => bytes.includes(form))).toEqual([]);

      // And whoever looks sees every placeholder that is on its way there.
      const tripwire = new Tripwire(
        secrets.map(({ secret, placeholder }) => ({ name: secret.name, placeholder })),
      );
      const used = secrets.filter(({ placeholder: { text } }) => {
        const inside = [
          bytes,
          ...bytes.split("\n").map((line) =>
            Buffer.from(line.slice(6), "base64").toString("latin1")
          ),
        ];
        return inside.some((one) => one.includes(text));
      }).map(({ secret }) => secret.name);
      expect(used.length).toBeGreaterThan(0);
      const { violations } = sortSightings(tripwire.scan(bytes), secrets, "evil.test");
      expect(violations.map(({ name }) => name).sort()).toEqual(used.sort());
    }
  },
  60_000,
);
