"""Publishes with endcap and with a plain S3 client in turn, to one server that is running, and prints medians and ratios.

The server is found as every AWS tool finds it (AWS_ENDPOINT_URL_S3, AWS_ACCESS_KEY_ID ...). Each program first runs at several
numbers of requests in flight on fewer pages, and then at the one that was fastest. At last, endcap's memory by number of segments.
"""

import argparse
import itertools
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import botocore.exceptions
import botocore.session

HERE = pathlib.Path(__file__).parent
BUCKET = "endcap-bench"
IN_FLIGHT = [8, 16, 32, 64, 128]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--endcap", type=pathlib.Path, required=True, help="the binary")
    parser.add_argument("--segments", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory", type=int, nargs="*", default=[1_000, 10_000, 100_000], help="numbers of segments")
    return parser.parse_args()


class Programs:
    def __init__(self, endcap):
        self.endcap = endcap
        self.prefixes = (f"run-{number}" for number in itertools.count())

    def run(self, command):
        answer = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if answer.returncode:
            sys.exit(f"{command[0]} answered {answer.returncode}: {answer.stderr}")
        return json.loads(answer.stdout)

    def ours(self, segments, in_flight, to=None):
        to = to or f"s3://{BUCKET}/{next(self.prefixes)}"
        return self.run([self.endcap, "bench", "publish", "--json", "--to", to,
                         "--segments", segments, "--concurrency", in_flight])

    def peer(self, bodies, in_flight, uvloop):
        return self.run([sys.executable, HERE / "publish_peer.py", "--bodies", bodies, "--bucket", BUCKET,
                         "--prefix", next(self.prefixes), "--concurrency", in_flight] + ["--uvloop"] * uvloop)


def create_bucket():
    """Waits for a server that was just started."""
    client = botocore.session.get_session().create_client("s3")
    for _ in range(120):
        try:
            return client.create_bucket(Bucket=BUCKET)
        except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
            last = error
            time.sleep(0.5)
    sys.exit(f"no bucket: {last}")


def pages(programs, segments, folder):
    """The folder of a run's pages, made by endcap."""
    programs.ours(segments, 8, folder / f"shop-{segments}")
    return next((folder / f"shop-{segments}" / "runs").iterdir()) / "segments"


def fastest(name, tries):
    for how, answer in tries:
        print(f"  {name} {how}: {answer['manifests_per_second']:.0f}/s, "
              f"{answer['cpu_seconds_per_1000']:.3f} CPU-s per 1,000", flush=True)
    return max(tries, key=lambda one: one[1]["manifests_per_second"])[0]


def compare(programs, args, folder):
    sample = max(args.segments // 4, 1)
    few, all_of_them = pages(programs, sample, folder), pages(programs, args.segments, folder)
    programs.ours(sample, 16)  # the server's first volumes
    print(f"requests in flight, {sample} pages:")
    mine = fastest("endcap", [(n, programs.ours(sample, n)) for n in IN_FLIGHT])
    theirs = fastest("aiobotocore", [((n, uvloop), programs.peer(few, n, uvloop))
                                     for n in IN_FLIGHT for uvloop in (False, True)])
    print(f"{args.rounds} rounds of {args.segments} pages: endcap {mine} in flight, aiobotocore {theirs[0]}"
          f"{', uvloop' * theirs[1]}; load average {os.getloadavg()[0]:.2f}")
    rounds = []
    for _ in range(args.rounds):
        rounds.append((programs.ours(args.segments, mine), programs.peer(all_of_them, *theirs)))
        a, b = rounds[-1]
        print(f"  endcap {a['wall_seconds']:.2f} s, {a['cpu_seconds_per_1000']:.3f}   "
              f"aiobotocore {b['wall_seconds']:.2f} s, {b['cpu_seconds_per_1000']:.3f}", flush=True)
    for figure, unit in [("wall_seconds", "s"), ("cpu_seconds_per_1000", "client CPU-s per 1,000")]:
        a, b = (statistics.median(answers[figure] for answers in side) for side in zip(*rounds))
        ratio = statistics.median(a[figure] / b[figure] for a, b in rounds)
        print(f"median {unit}: endcap {a:.3f}, aiobotocore {b:.3f}, ratio of a round {ratio:.2f}")


def memory(programs, args, folder):
    for place in ["s3", "folder"]:
        for segments in args.memory:
            to = None if place == "s3" else folder / f"memory-{segments}"
            answer = programs.ours(segments, 16, to)
            print(f"{place}, {segments} segments: peak {answer['peak_memory'] / 2**20:.1f} MiB, "
                  f"{answer['memory_before'] / 2**20:.1f} before the first page; {answer['wall_seconds']:.1f} s, "
                  f"{answer['manifests_per_second']:.0f}/s", flush=True)


def main():
    args = arguments()
    create_bucket()
    programs = Programs(args.endcap)
    with tempfile.TemporaryDirectory() as folder:
        compare(programs, args, pathlib.Path(folder))
        memory(programs, args, pathlib.Path(folder))


if __name__ == "__main__":
    main()
