"""Starts the emulator, deploys the template to it and speaks to both, for tests in Python. docs/cloud.md has it for others."""
import getpass
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import botocore.session

ROOT = Path(__file__).resolve().parents[4]
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1"}


class Emulator:
    """Lives as long as this object: the process ends when its standard input does."""

    def __init__(self, worker, logs, slots=4, wait_scale=0, environment=None):
        command = [sys.executable, ROOT / "tests/it/cloud/emulator/ms_batch.py", "--worker", worker, "--logs", logs, "--slots", slots,
                   "--wait-scale", wait_scale]
        self.process = subprocess.Popen(
            [str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, **CREDENTIALS, **(environment or {})})
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the emulator did not start; its log is {logs}/ministack.log")
        addresses = json.loads(line)
        self.endpoint, self.control = addresses["endpoint"], addresses["control"]
        self.session = botocore.session.get_session()
        self.session.set_credentials("test", "test")

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()

    def client(self, service):
        return self.session.create_client(service, region_name="us-east-1", endpoint_url=self.endpoint)

    def deploy(self, stack, bootstrap, **parameters):
        """The stack's outputs. Deployed by the script that deploys to AWS."""
        command = [sys.executable, str(ROOT / "infra/deploy.py"), "--stack", stack, "--bootstrap", str(bootstrap), "--image", "worker@sha256:0",
                   "--endpoint-url", self.endpoint]
        for name, value in parameters.items():
            command += ["--parameter", f"{name}={value}"]
        done = subprocess.run(command, env={**os.environ, **CREDENTIALS}, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"deploy.py failed:\n{done.stderr}")
        return json.loads(done.stdout)

    def hook(self, path, body=None):
        """The fault hooks of faults.py."""
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(self.control + path, data)) as answer:
            return json.loads(answer.read())

    def night(self, machine, event=None):
        """One execution, to its end: what DescribeExecution says, and the names of the states it entered."""
        states = self.client("stepfunctions")
        arn = states.start_execution(stateMachineArn=machine, input=json.dumps(event or {}))["executionArn"]
        while (execution := states.describe_execution(executionArn=arn))["status"] == "RUNNING":
            time.sleep(0.05)
        events = states.get_execution_history(executionArn=arn, maxResults=1000)["events"]
        entered = [one["stateEnteredEventDetails"]["name"] for one in events if "stateEnteredEventDetails" in one]
        return execution, entered

    def cdn(self, domain, path):
        """Status, headers and body of a GET through the emulated CloudFront."""
        request = urllib.request.Request(self.endpoint + path, headers={"host": domain, "x-forwarded-proto": "https"})
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read()


class Cdn:
    """nginx.conf.in before the emulated CloudFront; `get` answers status, headers and body."""

    def __init__(self, emulator, domain, folder):
        program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
        if program is None:
            raise RuntimeError("nginx is missing: apt-get install -y --no-install-recommends nginx-light")
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            self.port = listener.getsockname()[1]
        filled = (ROOT / "tests/it/cloud/nginx.conf.in").read_text()
        origin = emulator.endpoint.removeprefix("http://")
        values = {"PORT": self.port, "ORIGIN": origin, "DISTRIBUTION": domain, "FOLDER": folder, "USER": getpass.getuser()}
        for name, value in values.items():
            filled = filled.replace(f"@{name}@", str(value))
        folder.mkdir(parents=True)
        (folder / "nginx.conf").write_text(filled)
        self.process = subprocess.Popen([program, "-p", folder, "-c", folder / "nginx.conf", "-e", folder / "error.log"])
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise RuntimeError(f"nginx does not answer; its log is {folder}/error.log")

    def get(self, path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}") as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read()

    def close(self):
        self.process.terminate()
        self.process.wait()
