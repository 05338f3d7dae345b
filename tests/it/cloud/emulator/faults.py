"""The emulator's fault hooks: an HTTP server on 127.0.0.1, JSON in and out.

    GET  /jobs       every job and array child: jobId, jobName, index, status, pid (of a running attempt), exitCodes (of ended ones)
    GET  /lambdas    the running Lambda processes: function, pid
    POST /signal     {"jobId": "...", "signal": "KILL"} or {"pid": N, "signal": "TERM"}   -> {"sent": true}
    POST /rules      a rule, applied to attempts that start from now on                   -> {"rule": number}
    GET  /rules      all rules with `applied`, how often each was
    POST /reset      forgets all rules

A rule names attempts and what happens to them:

    {"index": 2, "attempt": 1, "after": 0.4, "do": "kill"}       attempt 1 of array child 2 gets SIGKILL 0.4 s after its start
    {"after": 0.2, "do": "reclaim", "times": 20}                 a spot reclaim: SIGTERM, SIGKILL after `grace` (120 s); the reason is
                                                                 "Host EC2 ... terminated."
    {"index": 1, "do": "fail", "exit": 1}                        `exit 1` runs in the worker's place, in every attempt

`index` (absent: any job; 0 is also a single job), `attempt` (absent: any), `name` (a prefix of the job's name), `times` (absent: without end)
say which. A kill or reclaim counts as applied when the process was there to get it.
"""
import itertools
import json
import os
import signal
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Rules:
    """What is to happen to which attempts."""

    def __init__(self):
        self.lock = threading.Lock()
        self.rules = []
        self.numbers = itertools.count()

    def add(self, rule):
        if rule.get("do") not in ("kill", "reclaim", "fail"):
            raise ValueError('"do" must be kill, reclaim or fail')
        with self.lock:
            number = next(self.numbers)
            self.rules.append({**rule, "rule": number, "applied": 0, "_given": 0})
        return number

    def reset(self):
        with self.lock:
            self.rules.clear()

    def show(self):
        with self.lock:
            return [{name: value for name, value in rule.items() if not name.startswith("_")} for rule in self.rules]

    def before(self, job, attempt, command):
        """The command to run, and what to call with a sender of signals once it runs."""
        rule = self.take(job, attempt)
        if rule is None:
            return command, lambda send: None
        if rule["do"] == "fail":
            self.applied(rule)
            return ["sh", "-c", f"echo 'a rule of the test fails this attempt' >&2; exit {int(rule.get('exit', 1))}"], lambda send: None

        def watch(send):
            threading.Thread(target=self.strike, args=(rule, job, send), daemon=True).start()

        return command, watch

    def take(self, job, attempt):
        index = job.get("arrayProperties", {}).get("index", 0)
        with self.lock:
            for rule in self.rules:
                named = rule.get("index", index) == index and rule.get("attempt", attempt) == attempt
                if named and job["jobName"].startswith(rule.get("name", "")) and rule["_given"] < rule.get("times", float("inf")):
                    rule["_given"] += 1
                    return rule
        return None

    def strike(self, rule, job, send):
        # The process that this attempt started; a later attempt's is not ours to kill.
        process = job["_process"]
        try:
            process.wait(rule.get("after", 0))
            return
        except Exception:  # subprocess.TimeoutExpired: it is still there, as it should be.
            pass
        if rule["do"] == "kill":
            if send(signal.SIGKILL):
                self.applied(rule)
            return
        job["_reclaimed"] = True
        if not send(signal.SIGTERM):
            job.pop("_reclaimed", None)
            return
        self.applied(rule)
        try:
            process.wait(rule.get("grace", 120))
        except Exception:  # subprocess.TimeoutExpired: two minutes are all that a spot host gives.
            send(signal.SIGKILL)

    def applied(self, rule):
        with self.lock:
            rule["applied"] += 1


def lambdas(runtime):
    """ministack keeps a worker an execution environment, each with its process."""
    found = []
    for pooled in list(runtime._workers.values()):
        for worker in pooled if isinstance(pooled, list) else [pooled]:
            process = getattr(worker, "_proc", None)
            if process is not None and process.poll() is None:
                found.append({"function": worker.func_name, "pid": process.pid})
    return found


def serve(port, jobs, rules, runtime):
    def job_view(job):
        process = job.get("_process")
        running = job["status"] == "RUNNING" and process is not None and process.poll() is None
        return {
            "jobId": job["jobId"], "jobName": job["jobName"], "index": job.get("arrayProperties", {}).get("index"),
            "status": jobs.view(job)["status"], "pid": process.pid if running else None,
            "exitCodes": [attempt["container"]["exitCode"] for attempt in job["attempts"]],
        }

    def send(request):
        number = getattr(signal, "SIG" + request.get("signal", "KILL"))
        if "jobId" in request:
            return jobs.signal(jobs.jobs[request["jobId"]], number)
        if request["pid"] not in [one["pid"] for one in lambdas(runtime)]:
            return False
        os.kill(request["pid"], number)
        return True

    gets = {
        "/jobs": lambda: [job_view(job) for job in list(jobs.jobs.values())],
        "/lambdas": lambda: lambdas(runtime),
        "/rules": rules.show,
    }
    posts = {
        "/signal": lambda request: {"sent": send(request)},
        "/rules": lambda request: {"rule": rules.add(request)},
        "/reset": lambda request: rules.reset() or {},
    }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.answer(gets, [])

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            self.answer(posts, [json.loads(body or b"{}")])

        def answer(self, routes, request):
            try:
                route = routes.get(self.path)
                status, body = (200, route(*request)) if route else (404, {"error": f"no {self.path}"})
            except (KeyError, ValueError, AttributeError) as error:
                status, body = 400, {"error": str(error)}
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
