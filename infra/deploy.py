#!/usr/bin/env python3
"""Deploys infra/template.yaml: to AWS, or with --endpoint-url to the tests' emulator. The same template, the same way.

    .venv/bin/python infra/deploy.py --stack endcap --bootstrap target/release/endcap-lambda \\
        --image 111122223333.dkr.ecr.us-east-1.amazonaws.com/endcap@sha256:... --parameter AlertEmail=ops@example.com

It uploads the Lambda package, the state machine and the template to the artifact bucket under keys made of their digests (so an unchanged
one changes nothing), passes the edge function as a parameter, makes a change set, executes it and prints the stack's outputs as JSON. A
parameter that is not given keeps the value it has. Credentials and region come from the AWS SDK's usual places. Needs botocore,
which `make setup` installs into .venv.
"""
import argparse
import hashlib
import io
import json
import sys
import time
import zipfile
from pathlib import Path

try:
    import botocore.session
    from botocore.config import Config
    from botocore.exceptions import ClientError
except ImportError:
    sys.exit("deploy: botocore is missing: run `make setup`, then .venv/bin/python infra/deploy.py")

INFRA = Path(__file__).resolve().parent
MAX_ZIP_BYTES = 50 * 1024 * 1024
MAX_PARAMETER_CHARS = 4096
POLL_SECONDS = {"aws": 5, "emulator": 0.1}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stack", required=True, help="name of the stack; also the value of the tag endcap:deployment")
    parser.add_argument("--bootstrap", required=True, type=Path, help="the endcap-lambda binary, or a .zip that holds it as `bootstrap`")
    parser.add_argument("--image", help="the worker's container image, by digest; needed for a new stack")
    parser.add_argument("--parameter", action="append", default=[], metavar="KEY=VALUE", help="a template parameter; may be repeated")
    parser.add_argument("--artifact-bucket", help="default: <stack>-artifacts-<account>-<region>, created if it is not there")
    parser.add_argument("--endpoint-url", help="of an emulator; absent: AWS")
    parser.add_argument("--region", help="default: the SDK's")
    parser.add_argument("--dry-run", action="store_true", help="show the change set and execute nothing")
    return parser.parse_args()


class Deployment:
    def __init__(self, options):
        self.options = options
        self.session = botocore.session.get_session()
        self.region = options.region or self.session.get_config_variable("region") or "us-east-1"
        self.poll = POLL_SECONDS["emulator" if options.endpoint_url else "aws"]
        self.s3, self.cloudformation, self.sts = (self.client(name) for name in ("s3", "cloudformation", "sts"))

    def client(self, service):
        style = {"addressing_style": "path"} if self.options.endpoint_url else {}
        config = Config(s3=style, retries={"mode": "standard", "max_attempts": 5})
        return self.session.create_client(service, region_name=self.region, endpoint_url=self.options.endpoint_url, config=config)

    # Artifacts

    def bucket(self):
        if self.options.artifact_bucket:
            return self.options.artifact_bucket
        name = f"{self.options.stack}-artifacts-{self.sts.get_caller_identity()['Account']}-{self.region}"
        try:
            self.s3.head_bucket(Bucket=name)
            return name
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
                raise
        where = {} if self.region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": self.region}}
        self.s3.create_bucket(Bucket=name, **where)
        self.s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration={
            "BlockPublicAcls": True, "BlockPublicPolicy": True, "IgnorePublicAcls": True, "RestrictPublicBuckets": True})
        self.s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        return name

    def upload(self, bucket, folder, suffix, data):
        key = f"{folder}/{hashlib.sha256(data).hexdigest()}{suffix}"
        self.s3.put_object(Bucket=bucket, Key=key, Body=data)
        return key

    def template_url(self, bucket, key):
        base = self.options.endpoint_url or f"https://s3.{self.region}.amazonaws.com"
        return f"{base}/{bucket}/{key}"

    # The stack

    def current_parameters(self):
        """None where there is no stack."""
        try:
            stack = self.cloudformation.describe_stacks(StackName=self.options.stack)["Stacks"][0]
        except ClientError as error:
            if "does not exist" in str(error):
                return None
            raise
        if stack["StackStatus"] == "REVIEW_IN_PROGRESS":
            return None
        return {one["ParameterKey"] for one in stack.get("Parameters", [])}

    def deploy(self):
        bucket = self.bucket()
        given = dict(self.parameters())
        given.update(
            ArtifactBucket=bucket,
            LambdaKey=self.upload(bucket, "lambda", ".zip", lambda_package(self.options.bootstrap)),
            StateMachineKey=self.upload(bucket, "state-machine", ".json", (INFRA / "statemachine.asl.json").read_bytes()),
            EdgeFunctionCode=edge_function(),
        )
        template = self.upload(bucket, "template", ".yaml", (INFRA / "template.yaml").read_bytes())
        existing = self.current_parameters()
        if self.options.image:
            given["WorkerImage"] = self.options.image
        elif existing is None:
            sys.exit("deploy: a new stack needs --image")
        name = f"deploy-{int(time.time() * 1000)}"
        parameters = [{"ParameterKey": key, "ParameterValue": value} for key, value in given.items()]
        parameters += [{"ParameterKey": key, "UsePreviousValue": True} for key in sorted((existing or set()) - set(given))]
        self.cloudformation.create_change_set(
            StackName=self.options.stack, ChangeSetName=name, ChangeSetType="CREATE" if existing is None else "UPDATE",
            TemplateURL=self.template_url(bucket, template), Parameters=parameters, Capabilities=["CAPABILITY_IAM"],
            Tags=[{"Key": "endcap:deployment", "Value": self.options.stack}],
        )
        if not self.change_set_is_ready(name):
            note("nothing changes")
        elif self.options.dry_run:
            return
        else:
            self.cloudformation.execute_change_set(StackName=self.options.stack, ChangeSetName=name)
            self.wait_for_stack()
        print(json.dumps(self.outputs(), indent=2, sort_keys=True))

    def parameters(self):
        for pair in self.options.parameter:
            key, equals, value = pair.partition("=")
            if not equals:
                sys.exit(f"deploy: --parameter {pair}: must be KEY=VALUE")
            yield key, value

    def change_set_is_ready(self, name):
        while True:
            change_set = self.cloudformation.describe_change_set(StackName=self.options.stack, ChangeSetName=name)
            status, reason = change_set["Status"], change_set.get("StatusReason", "")
            if status == "CREATE_COMPLETE":
                for change in change_set.get("Changes", []):
                    resource = change["ResourceChange"]
                    note(f"{resource['Action']:7} {resource['ResourceType']} {resource['LogicalResourceId']}")
                return True
            if status == "FAILED":
                self.cloudformation.delete_change_set(StackName=self.options.stack, ChangeSetName=name)
                if "didn't contain changes" in reason or "No updates" in reason:
                    return False
                sys.exit(f"deploy: the change set failed: {reason}")
            time.sleep(self.poll)

    def wait_for_stack(self):
        while True:
            stack = self.cloudformation.describe_stacks(StackName=self.options.stack)["Stacks"][0]
            status = stack["StackStatus"]
            if status in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
                return
            if status.endswith("_COMPLETE") or status.endswith("_FAILED"):
                self.explain()
                sys.exit(f"deploy: the stack is {status}: {stack.get('StackStatusReason', '')}")
            time.sleep(self.poll)

    def explain(self):
        events = self.cloudformation.describe_stack_events(StackName=self.options.stack)["StackEvents"]
        for event in events:
            if event["ResourceStatus"].endswith("_FAILED"):
                note(f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', '')}")

    def outputs(self):
        stack = self.cloudformation.describe_stacks(StackName=self.options.stack)["Stacks"][0]
        return {one["OutputKey"]: one["OutputValue"] for one in stack.get("Outputs", [])}


def lambda_package(path):
    """A zip whose bytes depend on the binary's alone: fixed time, fixed order, executable bit set."""
    if path.suffix == ".zip":
        data = path.read_bytes()
    else:
        entry = zipfile.ZipInfo("bootstrap", (1980, 1, 1, 0, 0, 0))
        entry.external_attr = 0o100755 << 16
        entry.compress_type = zipfile.ZIP_DEFLATED
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr(entry, path.read_bytes(), compresslevel=9)
        data = buffer.getvalue()
    if len(data) > MAX_ZIP_BYTES:
        sys.exit(f"deploy: {path} is {len(data)} bytes zipped; Lambda takes {MAX_ZIP_BYTES}")
    return data


def edge_function():
    code = (INFRA / "edge/storefront.js").read_text()
    if len(code) > MAX_PARAMETER_CHARS:
        sys.exit(f"deploy: edge/storefront.js has {len(code)} characters; a stack parameter holds {MAX_PARAMETER_CHARS}")
    return code


def note(text):
    print(f"deploy: {text}", file=sys.stderr)


if __name__ == "__main__":
    Deployment(arguments()).deploy()
