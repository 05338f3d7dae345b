"""Plain PUTs of a published run's pages with aiobotocore: what `endcap bench publish` is compared to.

No conditions, no checksums, no check afterwards; the bodies are in memory before the clock starts. Prints one line of JSON.
"""

import argparse
import asyncio
import json
import os
import pathlib
import time

import uvloop
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bodies", type=pathlib.Path, required=True, help="folder of pages")
    parser.add_argument("--bucket", required=True)
    parser.add_argument("--prefix", required=True)
    parser.add_argument("--concurrency", type=int, default=32)
    parser.add_argument("--uvloop", action="store_true")
    return parser.parse_args()


def config(concurrency):
    return AioConfig(
        max_pool_connections=concurrency,
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": "path"},
    )


async def put_all(client, args, pages):
    """Each of `args.concurrency` workers takes the next page until there is none."""

    async def worker():
        for name, body in pages:
            await client.put_object(
                Bucket=args.bucket,
                Key=f"{args.prefix}/{name}",
                Body=body,
                ContentType="application/json",
                CacheControl="public, max-age=31536000, immutable",
            )

    await asyncio.gather(*(worker() for _ in range(args.concurrency)))


def cpu_seconds():
    times = os.times()
    return times.user + times.system


async def main(args):
    bodies = [(path.name, path.read_bytes()) for path in sorted(args.bodies.iterdir())]
    async with get_session().create_client("s3", config=config(args.concurrency)) as client:
        await client.head_bucket(Bucket=args.bucket)
        cpu, clock = cpu_seconds(), time.perf_counter()
        await put_all(client, args, iter(bodies))
        wall, cpu = time.perf_counter() - clock, cpu_seconds() - cpu
    print(json.dumps({
        "segments": len(bodies),
        "concurrency": args.concurrency,
        "uvloop": args.uvloop,
        "wall_seconds": wall,
        "manifests_per_second": len(bodies) / wall,
        "cpu_seconds_per_1000": cpu / len(bodies) * 1000,
    }))


if __name__ == "__main__":
    arguments = arguments()
    run = uvloop.run if arguments.uvloop else asyncio.run
    run(main(arguments))
