"""Ray Serve with one replica per core, behind its own HTTP proxy.

A replica takes one question at a time: its core could not run a second, and the proxy gives a waiting question to the
first replica that is free.
"""

import argparse
import logging
import os

import ray
import ray.serve
from starlette.requests import Request
from starlette.responses import Response

from benchmarks.speed.baselines.server import HOST, load_warm_pipeline, serve_until_stdin_closes
from benchmarks.speed.baselines.wire import answer_body

QUIET = {"enable_access_log": False}


class Replica:
    def __init__(self, args: argparse.Namespace):
        self.pipeline = load_warm_pipeline(args)

    async def __call__(self, request: Request) -> Response:
        return Response(answer_body(self.pipeline, await request.body()), media_type="application/msgpack")


def serve(args: argparse.Namespace) -> None:
    os.environ.setdefault("RAY_worker_niceness", "0")  # Ray's default of 15 would favour the client over the workers
    ray.init(num_cpus=args.cores, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    ray.serve.start(http_options={"host": HOST, "port": args.port}, logging_config=QUIET)
    replicas = ray.serve.deployment(
        num_replicas=args.cores, max_ongoing_requests=1, ray_actor_options={"num_cpus": 1}, logging_config=QUIET
    )
    ray.serve.run(replicas(Replica).bind(args))
    serve_until_stdin_closes()
    ray.serve.shutdown()
    ray.shutdown()
