"""Ray Serve with one replica per core, behind its own HTTP proxy.

A replica takes one question at a time: it could do no second one meanwhile, and what waits is better left to the proxy,
which gives it to whoever is free first.
"""

import argparse
import logging
import os

import ray
import ray.serve
from starlette.requests import Request
from starlette.responses import Response

from benchmarks.speed.baselines.serving import HOST, serve_until_told, warm_pipeline
from benchmarks.speed.baselines.wire import answered

QUIET = {"enable_access_log": False}


class Pipeline:
    def __init__(self, args: argparse.Namespace):
        self.pipeline = warm_pipeline(args)

    async def __call__(self, request: Request) -> Response:
        return Response(answered(self.pipeline, await request.body()), media_type="application/msgpack")


def serve(args: argparse.Namespace) -> None:
    os.environ.setdefault("RAY_worker_niceness", "0")  # or whatever else runs here goes first, the asking client too
    ray.init(num_cpus=args.cores, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    ray.serve.start(http_options={"host": HOST, "port": args.port}, logging_config=QUIET)
    replicas = ray.serve.deployment(
        num_replicas=args.cores, max_ongoing_requests=1, ray_actor_options={"num_cpus": 1}, logging_config=QUIET
    )
    ray.serve.run(replicas(Pipeline).bind(args))
    serve_until_told()
    ray.serve.shutdown()
    ray.shutdown()
