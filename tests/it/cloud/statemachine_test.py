"""The whole template on the emulator: every branch of the state machine, retries of jobs by exit reason, the edge.

    .venv/bin/python tests/it/cloud/statemachine_test.py

The binaries are stand_in.py, which answers as each test's script says; the template, the state machine and the edge function are the
ones that go to AWS. Part of `make check-infra`.
"""
import json
import sys
import tempfile
import time
import unittest
import uuid
from pathlib import Path

import yaml

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "emulator"))
from client import ROOT, Cdn, Emulator  # noqa: E402

RUN = "2017-11-20-0123456789ab"
CANARY = "2017-11-20-cccccccccccc"
BEFORE = "2017-11-19-bbbbbbbbbbbb"
DEFINITION = json.loads((ROOT / "infra/statemachine.asl.json").read_text())
ATTEMPTS = 3


def published(run=RUN, **more):
    return {"run_id": run, "ending": "published", "exit_code": 0, "summary": "96 pages", "canary": False, "previous_run_id": BEFORE, **more}


def error(kind):
    return {"errorType": kind, "errorMessage": f"{kind} of the test"}


class Night(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="endcap-statemachine-")
        cls.aws = Emulator(f"{sys.executable} {HERE / 'stand_in.py'}", Path(cls.folder.name), environment={"ENDCAP_STAND_IN_SECONDS": "0.2"})
        cls.addClassCleanup(cls.folder.cleanup)
        cls.addClassCleanup(cls.aws.close)
        # Disabled: at one in the morning it would start a night in the middle of the tests.
        cls.outputs = cls.deploy(WorkerGpus=0, WorkerAttempts=ATTEMPTS, CanaryHoldSeconds=120, ScheduleState="DISABLED",
                                 TracesEndpoint="https://traces.example")
        cls.s3, cls.cloudwatch, cls.sqs = (cls.aws.client(name) for name in ("s3", "cloudwatch", "sqs"))
        cls.queue = cls.sqs.create_queue(QueueName="messages")["QueueUrl"]
        queue_arn = cls.sqs.get_queue_attributes(QueueUrl=cls.queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        cls.aws.client("sns").subscribe(TopicArn=cls.outputs["NightTopicArn"], Protocol="sqs", Endpoint=queue_arn)
        cls.visited = set()

    @classmethod
    def deploy(cls, **parameters):
        return cls.aws.deploy("endcap", HERE / "stand_in.py", **parameters)

    def setUp(self):
        self.aws.hook("/reset", {})
        self.alarm("OK")
        self.messages()

    # Helpers

    def night(self, answers=None, event=None, **scripted):
        """A night whose functions answer as scripted; fills self.execution, entered, calls, work."""
        survey = {"as_of": "2017-11-20", "refresh_index": False, "refresh_ranker": False}
        plan = {"run_id": RUN, "as_of": "2017-11-20", "segments": 96, "reused": 94, "shards": scripted.get("shards", 0)}
        script = {"survey": [{**survey, **scripted.get("survey", {})}], "plan": [plan], "publish": [published()], "promote": [published()],
                  "rollback": [{"run_id": BEFORE}], **(answers or {})}
        self.s3.put_object(Bucket=self.outputs["InputsBucketName"], Key="inputs/script.json",
                           Body=json.dumps({"id": str(uuid.uuid4()), "answers": script}))
        for name in self.notes():
            self.s3.delete_object(Bucket=self.outputs["PrivateBucketName"], Key=name)
        before = {job["jobId"] for job in self.aws.hook("/jobs")}
        self.execution, self.entered = self.aws.night(self.outputs["StateMachineArn"], event)
        self.visited.update(self.entered)
        self.jobs = [job for job in self.aws.hook("/jobs") if job["jobId"] not in before]
        notes = [json.loads(self.s3.get_object(Bucket=self.outputs["PrivateBucketName"], Key=name)["Body"].read()) for name in self.notes()]
        self.calls = [one["event"] for one in notes if "event" in one]
        self.work = [one for one in notes if "arguments" in one]

    def notes(self):
        listed = self.s3.list_objects_v2(Bucket=self.outputs["PrivateBucketName"], Prefix="work/notes/")
        return sorted(one["Key"] for one in listed.get("Contents", []))

    def messages(self):
        """What the state machine said since the last call. The canary alarm speaks to the same topic."""
        said = []
        while received := self.sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10).get("Messages", []):
            for one in received:
                self.sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=one["ReceiptHandle"])
            said += [json.loads(one["Body"]) for one in received]
        return [one for one in said if one.get("Subject", "").startswith("endcap: ")]

    def alarm(self, state):
        self.cloudwatch.set_alarm_state(AlarmName=self.outputs["CanaryAlarmName"], StateValue=state, StateReason="the test says so")

    def actions(self):
        return [call["action"] for call in self.calls]

    def assert_published(self):
        self.assertEqual(self.execution["status"], "SUCCEEDED", self.execution.get("cause"))
        output = json.loads(self.execution["output"])
        (message,) = self.messages()
        self.assertIn(f"published {RUN}", message["Subject"])
        self.assertEqual({**json.loads(message["Message"]), "execution": ""}, {**output, "execution": ""})
        return output

    def assert_failed(self, kind, step):
        self.assertEqual((self.execution["status"], self.execution["error"]), ("FAILED", kind))
        self.assertTrue(self.execution["cause"].startswith(step + ": "), self.execution["cause"])
        (message,) = self.messages()
        self.assertEqual(message["Subject"], f"endcap: the night FAILED in {step}")
        self.assertEqual(json.loads(message["Message"])["error"], kind)

    # How much work there is

    def test_a_night_without_work_publishes_at_once(self):
        self.night(shards=0)
        self.assertEqual(self.assert_published()["exit_code"], 0)
        self.assertEqual(self.calls, [{"action": "survey"}, {"action": "plan"}, {"action": "publish", "run_id": RUN, "canary_percent": 0}])
        self.assertEqual(self.jobs, [])

    def test_one_shard_is_a_single_job(self):
        self.night(shards=1)
        self.assert_published()
        (work,) = self.work
        self.assertEqual(work["arguments"], ["work", "--run", RUN])
        self.assertIsNone(work["environment"]["AWS_BATCH_JOB_ARRAY_INDEX"])
        self.assertEqual(work["environment"]["ENDCAP_CONFIG"], f"s3://{self.outputs['InputsBucketName']}/config/endcap.toml")
        self.assertEqual((work["environment"]["ENDCAP_DEVICE"], work["environment"]["ENDCAP_DEPLOYMENT"]), ("cpu", "endcap"))
        self.assertEqual(work["environment"]["OTEL_EXPORTER_OTLP_ENDPOINT"], "https://traces.example")

    def test_more_shards_are_an_array(self):
        self.night(shards=3)
        self.assertEqual(self.assert_published()["shards"], 3)
        self.assertEqual(sorted(one["environment"]["AWS_BATCH_JOB_ARRAY_INDEX"] for one in self.work), ["0", "1", "2"])

    # Refreshing

    def test_index_and_ranker_are_refreshed_before_the_plan(self):
        self.night(survey={"refresh_index": True, "refresh_ranker": True})
        self.assert_published()
        ranker = f"s3://{self.outputs['PrivateBucketName']}/ranker"
        self.assertEqual([one["arguments"] for one in self.work], [["index"], ["train", "ranker", "--out", ranker]])
        self.assertLess(self.entered.index("RefreshRanker"), self.entered.index("Plan"))

    def test_without_an_index_of_tonight_the_night_ends(self):
        self.aws.hook("/rules", {"name": "endcap-index", "do": "fail"})
        self.night(survey={"refresh_index": True})
        self.assert_failed("States.TaskFailed", "RefreshIndex")
        self.assertEqual(self.actions(), ["survey"])

    def test_last_weeks_ranker_is_a_warning(self):
        self.aws.hook("/rules", {"name": "endcap-ranker", "do": "fail"})
        self.night(survey={"refresh_ranker": True})
        (warning,) = self.assert_published()["warnings"]
        self.assertIn("the ranker was not refreshed", warning)

    # Jobs that fail

    def test_a_child_that_always_fails_is_left_to_publish(self):
        self.aws.hook("/rules", {"index": 1, "do": "fail", "exit": 1})
        self.night(shards=3)
        (warning,) = self.assert_published()["warnings"]
        self.assertIn("work failed", warning)
        self.assertEqual([job["exitCodes"] for job in self.jobs if job["index"] is not None], [[0], [1] * ATTEMPTS, [0]])

    def test_a_single_job_that_fails_is_left_to_publish(self):
        self.aws.hook("/rules", {"do": "fail", "exit": 64})
        self.night(shards=1)
        self.assertEqual(len(self.assert_published()["warnings"]), 1)
        self.assertEqual([job["exitCodes"] for job in self.jobs], [[64]], "a usage error is not tried again")

    def test_killed_and_reclaimed_children_are_tried_again(self):
        self.aws.hook("/rules", {"index": 0, "attempt": 1, "after": 0.1, "do": "kill"})
        self.aws.hook("/rules", {"index": 2, "attempt": 1, "after": 0.15, "do": "reclaim"})
        self.night(shards=3)
        self.assertEqual(self.assert_published()["warnings"], [])
        codes = [job["exitCodes"] for job in self.jobs if job["index"] is not None]
        self.assertEqual((codes[0], codes[1]), ([137, 0], [0]))
        self.assertEqual(codes[2][-1], 0)
        self.assertEqual([rule["applied"] for rule in self.aws.hook("/rules")], [1, 1])

    # Publishing

    def test_published_with_fallbacks_is_a_success(self):
        self.night({"publish": [published(ending="published-with-fallbacks", exit_code=1)]})
        self.assertEqual(self.execution["status"], "SUCCEEDED")
        self.assertEqual(json.loads(self.execution["output"])["exit_code"], 1)

    def test_a_night_that_stops_itself_fails(self):
        self.night({"publish": [published(ending="stopped", exit_code=2, summary="too many fallbacks: 60 of 96")]})
        self.assert_failed("Endcap.Stopped", "Publish")
        self.assertIn("too many fallbacks: 60 of 96", self.execution["cause"])

    def test_trouble_of_the_store_is_tried_again(self):
        self.night({"publish": [error("Endcap.Store"), error("Endcap.Store"), published()]})
        self.assert_published()
        self.assertEqual(self.actions().count("publish"), 3)

    def test_what_would_end_the_same_way_is_not_tried_again(self):
        for kind in ("Endcap.LostRace", "Endcap.Config", "Endcap.Inputs", "Endcap.Unfinished"):
            with self.subTest(kind):
                self.night({"publish": [error(kind)]})
                self.assert_failed(kind, "Publish")
                self.assertEqual(self.actions().count("publish"), 1)

    def test_survey_and_plan_end_the_night(self):
        for action, step in (("survey", "Survey"), ("plan", "Plan")):
            with self.subTest(action):
                self.night({action: [error("Endcap.Inputs")]})
                self.assert_failed("Endcap.Inputs", step)
                self.assertNotIn("publish", self.actions())

    # The canary

    def canary(self, answers=None, event=None):
        self.night({"publish": [published(CANARY, canary=True)], **(answers or {})}, {"canary_percent": 5, **(event or {})})

    def test_a_quiet_canary_is_promoted(self):
        self.canary()
        self.assert_published()
        self.assertEqual(self.calls[2:], [{"action": "publish", "run_id": RUN, "canary_percent": 5}, {"action": "promote", "run_id": RUN}])
        self.assertEqual(self.entered.count("HoldCanary"), 2, "120 s, a minute at a time")

    def test_an_alarm_rolls_the_canary_back(self):
        self.alarm("ALARM")
        self.canary(event={"canary_hold_seconds": 3600})
        self.assert_failed("Endcap.CanaryAlarm", "ReadCanaryAlarms")
        self.assertEqual(self.calls[-1], {"action": "rollback", "run_id": BEFORE, "night": RUN})
        self.assertEqual(self.entered.count("HoldCanary"), 1, "not an hour later")
        self.assertIn(f"rolled back to {BEFORE}", self.execution["cause"])

    def test_the_first_run_has_nothing_named_to_roll_back_to(self):
        self.alarm("ALARM")
        self.canary({"publish": [published(CANARY, canary=True, previous_run_id=None)]})
        self.assert_failed("Endcap.CanaryAlarm", "ReadCanaryAlarms")
        self.assertEqual(self.calls[-1], {"action": "rollback", "night": RUN})

    def test_a_failed_promotion_is_compensated(self):
        for answer, kind in ((error("Endcap.Config"), "Endcap.Config"), (published(ending="stopped"), "Endcap.Stopped")):
            with self.subTest(kind):
                self.canary({"promote": [answer]})
                self.assert_failed(kind, "Promote")
                self.assertEqual(self.actions()[-1], "rollback")

    def test_another_publishers_run_is_not_rolled_back(self):
        self.canary({"promote": [error("Endcap.LostRace")]})
        self.assert_failed("Endcap.LostRace", "Promote")
        self.assertEqual(self.actions()[-1], "promote")

    def test_a_failed_rollback_is_said_loudly(self):
        self.alarm("ALARM")
        self.canary({"rollback": [error("Endcap.Config")]})
        self.assert_failed("Endcap.CanaryAlarm", "ReadCanaryAlarms")
        self.assertIn("THE CANARY IS STILL LIVE", self.execution["cause"])

    # What was deployed

    def test_the_deployed_definition_is_the_file(self):
        deployed = self.aws.client("stepfunctions").describe_state_machine(stateMachineArn=self.outputs["StateMachineArn"])["definition"]
        self.assertNotIn("${", deployed)
        self.assertEqual(list(json.loads(deployed)["States"]), list(DEFINITION["States"]))

    def test_deploying_again_changes_what_changed(self):
        machine = {"stateMachineArn": self.outputs["StateMachineArn"]}
        states = self.aws.client("stepfunctions")
        before = states.describe_state_machine(**machine)["definition"]
        # Parameters that are not given keep their values.
        self.assertEqual(self.deploy(), self.outputs)
        self.assertEqual(states.describe_state_machine(**machine)["definition"], before)
        updated = self.deploy(WorkerAttemptSeconds=7200)
        old, new = self.outputs["WorkerJobDefinitionArn"], updated["WorkerJobDefinitionArn"]
        self.assertNotEqual(new, old, "a job definition's revisions are immutable")
        self.assertEqual({**updated, "WorkerJobDefinitionArn": old, "RefreshJobDefinitionArn": ""}, {**self.outputs, "RefreshJobDefinitionArn": ""})
        self.assertIn(new, states.describe_state_machine(**machine)["definition"])
        type(self).outputs = updated

    def test_every_task_has_a_timeout_retries_with_jitter_and_a_catch(self):
        tasks = {name: state for name, state in DEFINITION["States"].items() if state["Type"] == "Task"}
        self.assertEqual(len(tasks), 12)
        for name, state in tasks.items():
            with self.subTest(name):
                self.assertGreater(state["TimeoutSeconds"], 0)
                self.assertEqual(state["Retry"][-1]["JitterStrategy"], "FULL")
                self.assertEqual(state["Catch"][-1]["ErrorEquals"], ["States.ALL"])

    def test_the_schedule_has_a_zone_and_a_window(self):
        scheduler = self.aws.client("scheduler")
        (listed,) = scheduler.list_schedules()["Schedules"]
        schedule = scheduler.get_schedule(Name=listed["Name"])
        self.assertEqual(schedule["ScheduleExpressionTimezone"], "America/New_York")
        self.assertEqual(schedule["FlexibleTimeWindow"], {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 15})
        self.assertEqual(schedule["Target"]["Arn"], self.outputs["StateMachineArn"])
        self.assertIn("DeadLetters", schedule["Target"]["DeadLetterConfig"]["Arn"])

    def test_the_scheduler_starts_the_night(self):
        self.night()
        scheduler, states = self.aws.client("scheduler"), self.aws.client("stepfunctions")
        before = {one["executionArn"] for one in states.list_executions(stateMachineArn=self.outputs["StateMachineArn"])["executions"]}
        (nightly,) = scheduler.list_schedules()["Schedules"]
        target = scheduler.get_schedule(Name=nightly["Name"])["Target"]
        scheduler.create_schedule(Name="now", ScheduleExpression="at(2020-01-01T00:00:00)", FlexibleTimeWindow={"Mode": "OFF"}, Target=target)
        self.addCleanup(scheduler.delete_schedule, Name="now")
        deadline = time.monotonic() + 30
        while not (started := [one for one in states.list_executions(stateMachineArn=self.outputs["StateMachineArn"])["executions"]
                               if one["executionArn"] not in before and one["status"] == "SUCCEEDED"]):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.1)
        self.assertEqual(len(started), 1)

    def test_buckets_are_versioned_encrypted_and_closed(self):
        for name in ("PublicBucketName", "PrivateBucketName", "InputsBucketName"):
            with self.subTest(name):
                bucket = {"Bucket": self.outputs[name]}
                self.assertEqual(self.s3.get_bucket_versioning(**bucket)["Status"], "Enabled")
                self.assertTrue(all(self.s3.get_public_access_block(**bucket)["PublicAccessBlockConfiguration"].values()))
                self.assertTrue(self.s3.get_bucket_encryption(**bucket)["ServerSideEncryptionConfiguration"]["Rules"])

    def test_every_bucket_forgets_old_versions_and_broken_uploads(self):
        # Read from the template: the emulator keeps no lifecycle of a template's bucket.
        class Loader(yaml.SafeLoader):
            pass

        Loader.add_multi_constructor("!", lambda loader, tag, node: tag)
        resources = yaml.load((ROOT / "infra/template.yaml").read_text(), Loader)["Resources"]
        buckets = {name: one for name, one in resources.items() if one["Type"] == "AWS::S3::Bucket"}
        self.assertEqual(set(buckets), {"PublicBucket", "PrivateBucket", "InputsBucket"})
        for name, bucket in buckets.items():
            with self.subTest(name):
                self.assertEqual(bucket["DeletionPolicy"], "Retain")
                rules = bucket["Properties"]["LifecycleConfiguration"]["Rules"]
                self.assertTrue(any("NoncurrentVersionExpiration" in rule for rule in rules))
                self.assertTrue(any("AbortIncompleteMultipartUpload" in rule for rule in rules))
                expiring = [rule["Prefix"] for rule in rules if "ExpirationInDays" in rule]
                # Never by age in the public bucket: the pointer may name an old run.
                self.assertEqual(expiring, ["work/runs/", "work/explain/"] if name == "PrivateBucket" else [])

    def test_the_edge_follows_the_pointer(self):
        domain = self.outputs["DistributionDomainName"]
        for run in (RUN, BEFORE):
            self.night({"publish": [published(run)]})
            status, headers, body = self.aws.cdn(domain, "/storefront/seg-001")
            self.assertEqual(status, 200, body)
            self.assertEqual(json.loads(body)["run_id"], run)
            self.assertEqual(headers["cache-control"], "public, max-age=5, must-revalidate", "a browser must ask again")
            status, headers, body = self.aws.cdn(domain, f"/runs/{run}/segments/seg-001.json")
            self.assertEqual((status, headers["cache-control"]), (200, "public, max-age=31536000, immutable"))
            self.assertEqual(json.loads(self.aws.cdn(domain, "/current.json")[2])["run_id"], run)
        for path in ("/", "/index.html", "/storefront/", "/storefront/a/b", "/storefront/..%2fcurrent.json", f"/runs/{RUN}/", "/work/plan.json"):
            self.assertEqual(self.aws.cdn(domain, path)[0], 404, path)
        # Well-formed, but not there: S3 does not say so to whom may not list.
        self.assertEqual(self.aws.cdn(domain, "/storefront/seg-999")[0], 403)
        self.assertEqual(self.aws.cdn(domain, "/assignments/00")[0], 403)

    def test_nginx_plays_the_cdn(self):
        self.night()
        cdn = Cdn(self.aws, self.outputs["DistributionDomainName"], Path(self.folder.name) / "nginx")
        self.addCleanup(cdn.close)
        page = f"/runs/{RUN}/segments/seg-001.json"
        seen = {path: [cdn.get(path) for _ in range(2)] for path in ("/current.json", "/storefront/seg-001", page, f"{page}?bust=1")}
        for path, answers in seen.items():
            self.assertEqual([status for status, _, _ in answers], [200, 200], (path, answers))
            self.assertEqual([json.loads(body)["run_id"] for _, _, body in answers], [RUN, RUN], path)
            self.assertEqual(answers[1][1]["x-cache-status"], "HIT", path)
        self.assertEqual(seen[f"{page}?bust=1"][0][1]["x-cache-status"], "HIT", "the query is no part of the key")
        for path in ("/", "/storefront//seg-001", "/storefront/x/../seg-001", "/work/plan.json"):
            self.assertEqual(cdn.get(path)[0], 404, path)
        # A rollback is seen once the five seconds are over, through the pointer and through the stable address.
        self.night({"publish": [published(BEFORE)]})
        deadline = time.monotonic() + 30
        while {json.loads(cdn.get(path)[2])["run_id"] for path in ("/current.json", "/storefront/seg-001")} != {BEFORE}:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.2)


class Whole(unittest.TestCase):
    """Runs last: unittest takes classes by name."""

    def test_every_state_was_entered(self):
        self.assertEqual(set(DEFINITION["States"]) - Night.visited, set())


if __name__ == "__main__":
    unittest.main()
