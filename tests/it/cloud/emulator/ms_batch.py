"""AWS on one machine, for the tests: ministack with AWS Batch as local processes, and hooks to inject faults.

    .venv/bin/python tests/it/cloud/emulator/ms_batch.py --worker 'target/release/endcap' --logs out/logs

prints one line of JSON once it answers, {"endpoint": "http://127.0.0.1:P", "control": "http://127.0.0.1:C", "pid": N}, and ends, with
everything it started, when its standard input ends or on SIGTERM. It binds to 127.0.0.1 only.

ministack (pinned in requirements.txt) has real S3, Step Functions, Lambda (`provided.al2023` bootstraps run as processes),
EventBridge Scheduler, CloudFormation and CloudFront. What it lacks and the template needs is added here, by patching its internals, so
another version must not be used:

  AWS Batch          array and single jobs run `--worker` as processes, --slots at a time: array index, attempts, evaluateOnExit, attempt
                     timeouts, TerminateJob. `batch:submitJob` and `.sync` in state machines.
  CloudFormation     AWS::Batch::ComputeEnvironment, JobQueue and JobDefinition.
                     STUBS lists the types that are accepted and do nothing.
  Scheduler          a schedule of a template keeps its time zone (cron is evaluated in UTC all the same); looked at twice a second.
  CloudFront         `cf.kvs()` in CloudFront Functions, from the emulated KeyValueStore; its fetches from S3 count as TLS.

A job gets PATH, HOME, credentials and AWS_ENDPOINT_URL, the emulator's own variables that begin with ENDCAP_ or RUST_, and over them
what its job definition and overrides say. Lambdas get the emulator's whole environment (ministack does that).

Not emulated: compute environments and queues hold jobs back by --slots alone; job state events, logs to CloudWatch, alarms from metrics,
lifecycle rules of a template's bucket, IAM (ministack's AUTH is off), CloudFront's cache (every answer is a miss).

The control server (faults.py) lists and kills jobs and Lambdas and takes rules such as "kill child 2's first attempt after 0.4 s".
"""
import argparse
import fnmatch
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

# Accepted in templates, named in every deploy's log, and nothing more: resources that no night needs in order to run.
STUBS = {
    "AWS::Budgets::Budget": "ministack's CloudFormation refuses it",
}

ENDED = ("SUCCEEDED", "FAILED")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--worker", required=True, help="command that stands for the container image's entry point")
    parser.add_argument("--logs", required=True, type=Path, help="folder for a log an attempt, and for ministack's own")
    parser.add_argument("--port", type=int, default=0, help="of the AWS endpoint; 0: a free one")
    parser.add_argument("--control-port", type=int, default=0, help="of the fault hooks; 0: a free one")
    parser.add_argument("--slots", type=int, default=2, help="jobs that run at a time")
    parser.add_argument("--wait-scale", type=float, default=1.0, help="factor on Step Functions' waits and retry intervals; 0: none")
    return parser.parse_args()


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


# ---------------------------------------------------------------- AWS Batch


def now():
    return int(time.time() * 1000)


class Batch:
    """Jobs as processes. Shapes are those of the AWS Batch API."""

    def __init__(self, options, services, faults):
        self.worker = shlex.split(options.worker)
        self.logs = options.logs
        self.endpoint = f"http://127.0.0.1:{options.port}"
        self.pool = ThreadPoolExecutor(options.slots)
        self.stub = services.batch
        self.region_of_request = services.get_region
        self.new_id = services.new_uuid
        self.faults = faults
        self.jobs = {}

    # The API

    def register(self, request):
        """RegisterJobDefinition, keeping what ministack's own drops."""
        answer = self.stub.__dict__["_endcap_register"](request)
        revision = self.stub._job_definitions[request["jobDefinitionName"]][-1]
        kept = ("retryStrategy", "timeout", "parameters", "platformCapabilities", "propagateTags")
        revision.update({name: request[name] for name in kept if name in request})
        return answer

    def submit(self, request):
        definition = self.definition(request["jobDefinition"])
        if definition is None:
            return self.stub.error_response_json("ClientException", f"no job definition {request['jobDefinition']}", 400)
        size = (request.get("arrayProperties") or {}).get("size")
        if size is not None and not 2 <= int(size) <= 10000:
            return self.stub.error_response_json("ClientException", "Array size must be between 2 and 10000", 400)
        parent = self.new_job(self.new_id(), request)
        region = self.region_of_request()
        if size is None:
            self.pool.submit(self.run, parent, definition, request, region)
        else:
            parent["arrayProperties"] = {"size": int(size)}
            parent["_children"] = [self.new_job(f"{parent['jobId']}:{index}", request) for index in range(int(size))]
            for index, child in enumerate(parent["_children"]):
                child["arrayProperties"] = {"index": index}
                self.pool.submit(self.run, child, definition, request, region)
        return self.stub._json(200, {"jobId": parent["jobId"], "jobName": parent["jobName"], "jobArn": parent["jobArn"]})

    def describe(self, request):
        found = [self.view(self.jobs[name]) for name in request.get("jobs", []) if name in self.jobs]
        return self.stub._json(200, {"jobs": found})

    def list(self, request):
        jobs = list(self.jobs.values())
        if request.get("arrayJobId"):
            jobs = self.jobs.get(request["arrayJobId"], {}).get("_children", [])
        views = [self.view(job) for job in jobs]
        wanted = request.get("jobStatus")
        return self.stub._json(200, {"jobSummaryList": [view for view in views if wanted in (None, view["status"])]})

    def terminate(self, request):
        job = self.jobs.get(request.get("jobId"), {})
        for one in job.get("_children", [job]):
            one["_terminated"] = request.get("reason", "terminated")
            self.signal(one, signal.SIGTERM)
        return self.stub._json(200, {})

    # Inside

    def definition(self, reference):
        name, _, revision = reference.split("job-definition/")[-1].partition(":")
        revisions = self.stub._job_definitions.get(name) or []
        if not revisions or (revision and int(revision) > len(revisions)):
            return None
        return revisions[int(revision) - 1 if revision else -1]

    def new_job(self, job_id, request):
        job = {
            "jobId": job_id, "jobArn": self.stub._job_arn(job_id), "jobName": request["jobName"], "jobQueue": request.get("jobQueue", ""),
            "jobDefinition": request["jobDefinition"], "status": "RUNNABLE", "createdAt": now(), "attempts": [], "container": {},
            "parameters": request.get("parameters", {}),
        }
        self.jobs[job_id] = job
        return job

    def view(self, job):
        """The job as DescribeJobs shows it; an array's status is that of its children."""
        children = job.get("_children")
        if children is not None:
            states = [child["status"] for child in children]
            job["arrayProperties"]["statusSummary"] = {state: states.count(state) for state in sorted(set(states))}
            job["status"] = "PENDING"
            if all(state in ENDED for state in states):
                job["status"] = "FAILED" if "FAILED" in states else "SUCCEEDED"
                job["stoppedAt"] = max(child["stoppedAt"] for child in children)
                job["statusReason"] = "Array Child Job failed" if job["status"] == "FAILED" else ""
        return {name: value for name, value in job.items() if not name.startswith("_")}

    def command(self, definition, request):
        parameters = {**definition.get("parameters", {}), **request.get("parameters", {})}
        words = (request.get("containerOverrides") or {}).get("command") or definition["containerProperties"].get("command") or []
        return [parameters.get(word[5:], word) if word.startswith("Ref::") else word for word in words]

    def environment(self, job, definition, request, region):
        environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        environment.update({name: value for name, value in os.environ.items() if name.startswith(("ENDCAP_", "RUST_"))})
        overrides = (request.get("containerOverrides") or {}).get("environment", [])
        for pair in definition["containerProperties"].get("environment", []) + overrides:
            environment[pair["name"]] = str(pair["value"])
        # The image's scratch volume is not there; the machine's own temporary folder is.
        environment.pop("TMPDIR", None)
        environment.update(
            AWS_BATCH_JOB_ID=job["jobId"], AWS_REGION=region, AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test",
            AWS_ENDPOINT_URL=self.endpoint,
        )
        if "index" in job.get("arrayProperties", {}):
            environment["AWS_BATCH_JOB_ARRAY_INDEX"] = str(job["arrayProperties"]["index"])
        return environment

    def run(self, job, definition, request, region):
        """A job from its first attempt to its last."""
        retries = request.get("retryStrategy") or definition.get("retryStrategy") or {}
        seconds = (request.get("timeout") or definition.get("timeout") or {}).get("attemptDurationSeconds")
        environment = self.environment(job, definition, request, region)
        command = self.command(definition, request)
        job.update(status="RUNNING", startedAt=now())
        succeeded = False
        for attempt in range(1, int(retries.get("attempts", 1)) + 1):
            if job.get("_terminated"):
                job["statusReason"] = job["_terminated"]
                break
            environment["AWS_BATCH_JOB_ATTEMPT"] = str(attempt)
            code, reason = self.attempt(job, command, environment, attempt, seconds)
            succeeded = code == 0
            if succeeded or reason == "Job attempt duration exceeded timeout" or not retried(retries, code, reason):
                break
        job.update(status="SUCCEEDED" if succeeded else "FAILED", stoppedAt=now())

    def attempt(self, job, command, environment, number, seconds):
        """One process. Its exit code, and the reason as Batch gives it."""
        started = now()
        command, watch = self.faults.before(job, number, self.worker + command)
        log = self.logs / f"batch-{job['jobId'].replace(':', '-')}-{number}.log"
        with open(log, "wb") as file:
            # A session of its own, so that a kill takes its children too.
            process = subprocess.Popen(command, env=environment, stdout=file, stderr=file, start_new_session=True)
            job["_process"] = process
            watch(lambda number: signal_group(process, number))
            reason = "Essential container in task exited"
            try:
                code = process.wait(float(seconds) if seconds else None)
            except subprocess.TimeoutExpired:
                self.signal(job, signal.SIGKILL)
                code = process.wait()
                reason = "Job attempt duration exceeded timeout"
        if job.pop("_reclaimed", False):
            reason = "Host EC2 (instance i-0123456789abcdef0) terminated."
        code = code if code >= 0 else 128 - code
        job["attempts"].append({
            "container": {"exitCode": code, "reason": "", "logStreamName": log.name}, "startedAt": started, "stoppedAt": now(),
            "statusReason": reason,
        })
        job["container"]["exitCode"] = code
        job["statusReason"] = reason
        return code, reason

    def signal(self, job, number):
        """To the running attempt's whole process group. Whether there was one."""
        process = job.get("_process")
        return process is not None and signal_group(process, number)

    def kill_all(self):
        for job in self.jobs.values():
            self.signal(job, signal.SIGKILL)


def signal_group(process, number):
    if process.poll() is not None:
        return False
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return False
    return True


def retried(retries, code, reason):
    """What `evaluateOnExit` says; the first rule whose conditions all hold decides, and without one the job is tried again."""
    for rule in retries.get("evaluateOnExit", []):
        holds = (
            fnmatch.fnmatchcase(reason, rule.get("onStatusReason", "*"))
            and fnmatch.fnmatchcase("", rule.get("onReason", "*"))
            and fnmatch.fnmatchcase(str(code), rule.get("onExitCode", "*"))
        )
        if holds:
            return rule["action"].upper() == "RETRY"
    return True


# ---------------------------------------------------------------- what connects it to ministack


def connect_batch(services, jobs):
    services.batch._endcap_register = services.batch._register_job_definition
    services.batch._DISPATCH.update({
        "/v1/registerjobdefinition": jobs.register, "/v1/submitjob": jobs.submit, "/v1/describejobs": jobs.describe,
        "/v1/listjobs": jobs.list, "/v1/terminatejob": jobs.terminate, "/v1/canceljob": jobs.terminate,
    })


def connect_state_machines(services, jobs):
    sfn = services.stepfunctions

    def submit_job(resource, arguments):
        request = sfn._pascal_to_camel(arguments)
        # Names of parameters are the user's and stay as they are.
        if "Parameters" in arguments:
            request["parameters"] = arguments["Parameters"]
        status, _, body = jobs.submit(request)
        answer = json.loads(body)
        if status >= 400:
            raise sfn._ExecutionError("Batch." + answer.get("__type", "ClientException").split("#")[-1], answer.get("message", ""))
        if resource.endswith(".sync"):
            answer = wait(answer["jobId"])
        return {name[0].upper() + name[1:]: value for name, value in answer.items()}

    def wait(job_id):
        while True:
            view = jobs.view(jobs.jobs[job_id])
            if view["status"] in ENDED:
                break
            time.sleep(0.05)
        if view["status"] == "FAILED":
            raise sfn._ExecutionError("States.TaskFailed", json.dumps({name[0].upper() + name[1:]: value for name, value in view.items()}))
        return view

    sfn._SERVICE_DISPATCH["arn:aws:states:::batch:submitJob"] = submit_job


def connect_templates(services, jobs):
    provisioners, stub, camel = services.provisioners, services.batch, services.stepfunctions._pascal_to_camel

    def through(create, arn_key, name_key, numbers):
        def handler(logical_id, properties, stack):
            request = camel(properties)
            request.setdefault(name_key, provisioners._physical_name(stack, logical_id, max_len=128))
            if "Parameters" in properties:
                request["parameters"] = properties["Parameters"]
            numbers(request)
            status, _, body = create(request)
            answer = json.loads(body)
            if status >= 400:
                raise ValueError(answer.get("message"))
            return answer[arn_key], {arn_key[0].upper() + arn_key[1:]: answer[arn_key], "Arn": answer[arn_key]}

        # An update makes the resource anew: a job definition gets its next revision.
        def update(physical_id, old, new, stack, logical_id=None):
            remove(physical_id, old)
            return handler(logical_id, new, stack)

        def remove(physical_id, properties):
            name = physical_id.rsplit("/", 1)[-1]
            stub._compute_envs.pop(name, None)
            stub._job_queues.pop(name, None)

        return {"create": handler, "update": update, "update_with_logical_id": True, "delete": remove}

    def queue_numbers(request):
        request["priority"] = int(request["priority"])
        for compute in request.get("computeEnvironmentOrder", []):
            compute["order"] = int(compute["order"])

    def nothing(request):
        del request

    def stubbed(kind, reason):
        def create(logical_id, properties, stack):
            del properties
            print(f"ms_batch: {kind} {logical_id} of {stack} is a stub: {reason}", file=sys.stderr, flush=True)
            return f"{stack}-{logical_id}-stub", {}

        return {"create": create, "update": lambda physical_id, *_: (physical_id, {}), "delete": lambda *_: None}

    handlers = provisioners._RESOURCE_HANDLERS
    handlers["AWS::Batch::ComputeEnvironment"] = through(
        stub._create_compute_environment, "computeEnvironmentArn", "computeEnvironmentName", nothing)
    handlers["AWS::Batch::JobQueue"] = through(stub._create_job_queue, "jobQueueArn", "jobQueueName", queue_numbers)
    handlers["AWS::Batch::JobDefinition"] = through(jobs.register, "jobDefinitionArn", "jobDefinitionName", nothing)
    create_schedule = handlers["AWS::Scheduler::Schedule"]["create"]

    def schedule(logical_id, properties, stack):
        name, attributes = create_schedule(logical_id, properties, stack)
        kept = services.scheduler._schedules[f"{properties.get('GroupName', 'default')}/{name}"]
        kept["ScheduleExpressionTimezone"] = properties.get("ScheduleExpressionTimezone", "UTC")
        return name, attributes

    handlers["AWS::Scheduler::Schedule"]["create"] = schedule
    services.scheduler._SCHEDULE_TICK_INTERVAL = 0.5
    handlers.update({kind: stubbed(kind, reason) for kind, reason in STUBS.items()})


def connect_cloudfront(services):
    """`import cf from 'cloudfront'` becomes what the function's own store holds at this request."""
    runtime, evaluate = services.cloudfront_js, services.cloudfront_js.evaluate

    def with_store(code, event):
        owners = [one for one in services.cloudfront._functions.values() if one["live_body"] and code in (one["code"], one["live_body"].get("code"))]
        arns = owners[0]["kvs_arns"] if owners else []
        store = services.keyvaluestore._get_store(arns[0])[0] if arns else None
        items = json.dumps((store or {}).get("items", {}))
        module = (
            "const cf = (() => { const items = " + items + "; return { kvs: () => ({ get: async (key) => {"
            " if (!(key in items)) throw new Error('KeyNotFound'); return items[key]; } }) }; })();"
        )
        return evaluate(code.replace(b"import cf from 'cloudfront';", module.encode()), event)

    runtime.evaluate = with_store
    # ministack gives a function five seconds, node's start included: too few on a machine that compiles at the same time.
    runtime._EVAL_TIMEOUT = 60

    # CloudFront reaches S3 by TLS, whatever the viewer's request came by; bucket policies ask for it.
    allows = services.s3._cloudfront_origin_allows

    def allows_by_tls(*asked):
        origin = services.request_origin
        token = origin.set((origin.get()[0], True))
        try:
            return allows(*asked)
        finally:
            origin.reset(token)

    services.s3._cloudfront_origin_allows = allows_by_tls


def services():
    """ministack's modules, imported late: they read the environment when they are imported."""
    from types import SimpleNamespace

    from ministack import app
    from ministack.core import cloudfront_js, lambda_runtime
    from ministack.core.iam_evaluator import _request_origin
    from ministack.core.responses import get_region, new_uuid
    from ministack.services import batch, cloudfront, cloudfront_keyvaluestore, s3, scheduler, stepfunctions
    from ministack.services.cloudformation import provisioners

    return SimpleNamespace(
        app=app, batch=batch, cloudfront=cloudfront, cloudfront_js=cloudfront_js, get_region=get_region,
        keyvaluestore=cloudfront_keyvaluestore, lambda_runtime=lambda_runtime, new_uuid=new_uuid, provisioners=provisioners,
        request_origin=_request_origin, s3=s3, scheduler=scheduler, stepfunctions=stepfunctions,
    )


def announce(options):
    """Says where it listens once it does."""
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", options.port)) == 0:
                break
        time.sleep(0.02)
    addresses = {"endpoint": f"http://127.0.0.1:{options.port}", "control": f"http://127.0.0.1:{options.control_port}", "pid": os.getpid()}
    print(json.dumps(addresses), file=options.stdout, flush=True)


def main():
    options = arguments()
    options.port = options.port or free_port()
    options.control_port = options.control_port or free_port()
    options.logs.mkdir(parents=True, exist_ok=True)
    endpoint = f"http://127.0.0.1:{options.port}"
    os.environ.update(
        BIND_HOST="127.0.0.1", MINISTACK_HOST="127.0.0.1", GATEWAY_PORT=str(options.port), SFN_WAIT_SCALE=str(options.wait_scale),
        # Lambdas inherit these and so come back here.
        AWS_ENDPOINT_URL=endpoint, AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test",
    )
    # A group of its own, with every Lambda in it, so that it can end them all.
    if os.getpgrp() != os.getpid():
        os.setpgid(0, 0)
    options.stdout = os.fdopen(os.dup(1), "w")
    log = os.open(options.logs / "ministack.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)

    sys.path.insert(0, str(Path(__file__).parent))
    import faults

    modules = services()
    rules = faults.Rules()
    jobs = Batch(options, modules, rules)
    connect_batch(modules, jobs)
    connect_state_machines(modules, jobs)
    connect_templates(modules, jobs)
    connect_cloudfront(modules)

    def end(*_):
        jobs.kill_all()
        os.killpg(0, signal.SIGKILL)

    def end_with_input():
        while os.read(0, 4096):
            pass
        end()

    for work in (end_with_input, lambda: announce(options)):
        threading.Thread(target=work, daemon=True).start()
    faults.serve(options.control_port, jobs, rules, modules.lambda_runtime)
    # ministack sets a SIGTERM handler of its own, which would leave jobs behind.
    set_handler = signal.signal
    set_handler(signal.SIGTERM, end)
    signal.signal = lambda number, handler: None if number == signal.SIGTERM else set_handler(number, handler)
    sys.argv = [sys.argv[0]]
    modules.app.main()


if __name__ == "__main__":
    main()
