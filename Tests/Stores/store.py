"""An S3 store for scripts/check-stores: moto's, which checks signatures and rights as Amazon does.

Prints one line of JSON: where it is, keys, and what objects there are. Ends with its standard input.
"""

import hashlib
import json
import sys

import boto3
import requests
from moto.server import ThreadedMotoServer

# Every kind of byte that a key may have, and what SigV4 and URLs make of them.
KEYS = [
    "plain.jpg",
    "folder/sub/plain.jpg",
    "with space.jpg",
    "plus+and&equals=.jpg",
    "question?mark#number.jpg",
    "percent%20and%2Fslash.jpg",
    "quotes'\"()!*.jpg",
    "colon:semicolon;comma,at@dollar$.jpg",
    "brackets[]{}<>|^`.jpg",
    "tilde~under_score-hyphen.jpg",
    "é/ü/日本語/\U0001f600.jpg",
    "double//slash.jpg",
    ".hidden/..dots/a...b",
    "a" * 900,
]
ALL = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


def main() -> None:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"

    def client(name: str, **keys: str):
        return boto3.client(name, endpoint_url=url, region_name="eu-central-1", **keys)

    root = {"aws_access_key_id": "root", "aws_secret_access_key": "root"}
    iam = client("iam", **root)
    iam.create_user(UserName="reader")
    iam.put_user_policy(UserName="reader", PolicyName="all", PolicyDocument=json.dumps(ALL))
    key = iam.create_access_key(UserName="reader")["AccessKey"]
    iam.create_user(UserName="nobody")
    poor = iam.create_access_key(UserName="nobody")["AccessKey"]
    role = iam.create_role(RoleName="role", AssumeRolePolicyDocument=json.dumps(ALL))["Role"]
    iam.put_role_policy(RoleName="role", PolicyName="all", PolicyDocument=json.dumps(ALL))
    session = client("sts", **root).assume_role(RoleArn=role["Arn"], RoleSessionName="test")["Credentials"]

    s3 = client("s3", **root)
    s3.create_bucket(Bucket="images", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    objects = {}
    for name in KEYS:
        body = f"the object {name}".encode()
        s3.put_object(Bucket="images", Key=name, Body=body)
        objects[f"s3://images/{name}"] = hashlib.sha256(body).hexdigest()
    coded = b"aws-chunked is what some uploads are called"
    s3.put_object(Bucket="images", Key="coded", Body=coded, ContentEncoding="utf-8")
    objects["s3://images/coded"] = hashlib.sha256(coded).hexdigest()
    # From now on each request needs a signature that is right, and rights.
    requests.post(f"{url}/moto-api/reset-auth", data="0", timeout=10).raise_for_status()

    def named(found: dict, secret: str = "SecretAccessKey") -> dict:
        names = {"AWS_ACCESS_KEY_ID": found["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": found[secret]}
        return names | ({"AWS_SESSION_TOKEN": found["SessionToken"]} if "SessionToken" in found else {})

    print(
        json.dumps(
            {
                "endpoint": url,
                "region": "eu-central-1",
                "keys": [named(key), named(session)],
                "wrong": [named(poor), named(key) | {"AWS_SECRET_ACCESS_KEY": "wrong"}, named(key) | {"AWS_ACCESS_KEY_ID": "AKIAWRONG"}],
                "objects": objects,
            }
        ),
        flush=True,
    )
    sys.stdin.read()
    server.stop()


main()
