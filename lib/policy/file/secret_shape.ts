/**
 * The shape of one entry of `secrets` in a policy file: which keys there are and what kind of value
 * each takes. Meaning is checked by the reader behind it (`secret_entry.ts`).
 *
 * @module
 */

import { z } from "zod";
import { PLACES } from "../model/secret.ts";

const awsObject = z.strictObject({
  profile: z.string().optional()
    .describe("Whose keys in a file of shared credentials; left out: default"),
  regions: z.array(z.string()).min(1).optional()
    .describe("Regions that requests may be signed for; left out: all"),
  services: z.array(z.string()).min(1).optional()
    .describe("Services, as signatures name them: s3, dynamodb; left out: all"),
});

export const secretObject = z.strictObject({
  name: z.string().describe("The environment variable that holds the placeholder in the guest"),
  hosts: z.array(z.string()).min(1)
    .describe(
      "Who gets the value: api.example.com, or *.example.com for this name and all below it",
    ),
  source: z.string().optional().describe(
    "Where the value is read: env:VARIABLE, file:PATH, cmd:COMMAND or keychain:SERVICE. " +
      "Left out: the environment variable of the same name",
  ),
  places: z.array(z.enum(PLACES)).min(1).optional()
    .describe("Where in a request; left out: header and basic"),
  headers: z.union([z.enum(["credentials", "any"]), z.array(z.string()).min(1)]).optional()
    .describe("In which fields; left out: those that carry credentials"),
  methods: z.array(z.string()).min(1).optional().describe("Request methods; left out: all"),
  path: z.string().optional().describe("What paths begin with, by whole segments; left out: any"),
  exclusive: z.boolean().optional()
    .describe("Refuse requests to these hosts with other credentials; on by default"),
  mask: z.boolean().optional()
    .describe("Replace the value in what these hosts answer; on by default"),
  format: z.string().optional().describe("The form of the placeholder: sk-ant-*"),
  tokens: z.strictObject({
    path: z.union([z.string(), z.array(z.string()).min(1)])
      .describe("Its path, or the paths of all such endpoints: /oauth/token"),
    hosts: z.array(z.string()).min(1).optional()
      .describe("On which of the secret's hosts; left out: on all"),
  }).optional().describe(
    "An OAuth token endpoint: the guest gets placeholders of the tokens in its answers",
  ),
  aws: z.union([z.literal(true), awsObject]).optional().describe(
    "A pair of AWS keys: requests that the guest signed with their placeholders are signed again. " +
      "The name is what the variables begin with: AWS for AWS_ACCESS_KEY_ID and the others",
  ),
});

export const secretEntry = z.union([
  z.string().describe("NAME[=SOURCE]@HOST[,HOST…]"),
  secretObject,
]);

export type SecretShape = z.output<typeof secretObject>;
export type SecretEntry = z.output<typeof secretEntry>;
