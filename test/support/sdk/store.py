# The same as store.mjs, by boto3, and an address that is signed for whoever has it.
import urllib.request

import boto3
from botocore.config import Config

client = boto3.client(
    "s3",
    endpoint_url="https://s3.example.com",
    region_name="eu-central-1",
    config=Config(s3={"addressing_style": "path"}, signature_version="s3v4"),
)
of = {"Bucket": "shelf", "Key": "from python"}
client.put_object(Body=b"kept by python", **of)
print(client.get_object(**of)["Body"].read().decode())
url = client.generate_presigned_url("get_object", Params=of)
print(urllib.request.urlopen(url).read().decode())
