// Amazon's own client of S3: keeps an object, and reads it again.
import process from "node:process";
import { GetObjectCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";

const client = new S3Client({
  endpoint: "https://s3.example.com",
  region: "eu-central-1",
  forcePathStyle: true,
});
const of = { Bucket: "shelf", Key: "from node" };
await client.send(new PutObjectCommand({ ...of, Body: "kept by node" }));
const { Body } = await client.send(new GetObjectCommand(of));
process.stdout.write(`${await Body.transformToString()}\n`);
