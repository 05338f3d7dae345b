#!/usr/bin/env python3
"""Stands for both binaries where only the infrastructure is under test (statemachine_test.py).

As a Lambda bootstrap it answers each action with what `script.json` in the inputs bucket says and notes the call in the private bucket;
as a worker (any arguments) it notes what it was called with. A publish, promote or rollback that succeeds writes one page, the pointer and
the edge's key, in that order.
"""
import json
import os
import signal
import sys
import time
import urllib.error
import urllib.request
import uuid

ENDPOINT = os.environ["AWS_ENDPOINT_URL"]


def http(method, url, body=None, headers=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json", **(headers or {})}, method=method)
    with urllib.request.urlopen(request) as answer:
        return json.loads(answer.read() or b"null"), answer.headers


def s3(location, name):
    return f"{ENDPOINT}/{location.removeprefix('s3://')}/{name}"


def note(kind, what):
    http("PUT", s3(os.environ["ENDCAP_WORK"], f"notes/{time.time():.6f}-{kind}-{uuid.uuid4()}.json"), what)


def show(run):
    """Makes `run` what shoppers see."""
    public = os.environ["ENDCAP_PUBLISH"]
    forever = {"cache-control": "public, max-age=31536000, immutable"}
    http("PUT", s3(public, f"runs/{run}/segments/seg-001.json"), {"segment_id": "seg-001", "run_id": run}, forever)
    http("PUT", s3(public, "current.json"), {"run_id": run}, {"cache-control": "public, max-age=5, must-revalidate"})
    store = f"{ENDPOINT}/key-value-stores/{os.environ['ENDCAP_EDGE_STORE']}"
    _, headers = http("GET", store)
    http("PUT", f"{store}/keys/current", {"Value": run}, {"if-match": headers["etag"]})


def answer(event):
    """The next of the answers that the script has for this action; the last one stays."""
    script, _ = http("GET", s3(os.environ["ENDCAP_INPUTS"], "script.json"))
    calls = answer.calls.setdefault((script["id"], event["action"]), [])
    calls.append(event)
    answers = script["answers"][event["action"]]
    reply = answers[min(len(calls), len(answers)) - 1]
    note("call", {"event": event, "reply": reply})
    if "errorType" not in reply and event["action"] in ("publish", "promote", "rollback") and reply.get("ending") != "stopped":
        show(reply["run_id"])
    return reply


answer.calls = {}


def bootstrap():
    runtime = f"http://{os.environ['AWS_LAMBDA_RUNTIME_API']}/2018-06-01/runtime/invocation"
    while True:
        event, headers = http("GET", f"{runtime}/next")
        reply = answer(event)
        ending = "error" if "errorType" in reply else "response"
        http("POST", f"{runtime}/{headers['lambda-runtime-aws-request-id']}/{ending}", reply)


def worker():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))
    names = ("AWS_BATCH_JOB_ARRAY_INDEX", "AWS_BATCH_JOB_ATTEMPT", "ENDCAP_CONFIG", "ENDCAP_INDEX", "ENDCAP_DEVICE", "ENDCAP_DEPLOYMENT",
             "OTEL_EXPORTER_OTLP_ENDPOINT")
    note("work", {"arguments": sys.argv[1:], "environment": {name: os.environ.get(name) for name in names}})
    time.sleep(float(os.environ.get("ENDCAP_STAND_IN_SECONDS", "0")))


if __name__ == "__main__":
    bootstrap() if "AWS_LAMBDA_RUNTIME_API" in os.environ else worker()
