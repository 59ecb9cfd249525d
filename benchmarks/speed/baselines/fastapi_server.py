"""One of the FastAPI processes, of which there is one per core, on uvicorn.

The pipeline runs in the event loop: a core does best with one question after another, a thread pool would only add
hand-overs, and the kernel queues further requests.
"""

import argparse
from threading import Thread

import uvicorn
from fastapi import FastAPI, Request, Response

from benchmarks.speed.baselines.server import HOST, load_warm_pipeline, serve_until_stdin_closes
from benchmarks.speed.baselines.wire import answer_body
from benchmarks.speed.in_process import InProcessPipeline

KEEP_ALIVE_SECONDS = 3600  # the connection idles while the other paths are measured


def build_application(pipeline: InProcessPipeline) -> FastAPI:
    app = FastAPI()

    @app.post("/")
    async def ask(request: Request) -> Response:
        return Response(answer_body(pipeline, await request.body()), media_type="application/msgpack")

    return app


def serve(args: argparse.Namespace) -> None:
    config = uvicorn.Config(
        build_application(load_warm_pipeline(args)),
        host=HOST,
        port=args.port,
        log_level="warning",
        access_log=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
    )
    listener = config.bind_socket()
    listener.listen()  # so that no connection is refused while uvicorn starts
    Thread(target=uvicorn.Server(config).run, args=([listener],), daemon=True).start()
    serve_until_stdin_closes()
