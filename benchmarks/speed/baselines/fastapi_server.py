"""FastAPI on uvicorn, one process per core: this is one of them.

The pipeline is called in the event loop. One question after another is what a core can do best, so that a pool of
threads would only add a way there and back; meanwhile the kernel keeps what else is sent.
"""

import argparse
from threading import Thread

import uvicorn
from fastapi import FastAPI, Request, Response

from benchmarks.speed.baselines.serving import HOST, serve_until_told, warm_pipeline
from benchmarks.speed.baselines.wire import answered
from benchmarks.speed.in_process import InProcess

KEPT_ALIVE_SECONDS = 3600  # connections, while the other paths are measured


def application(pipeline: InProcess) -> FastAPI:
    app = FastAPI()

    @app.post("/")
    async def ask(request: Request) -> Response:
        return Response(answered(pipeline, await request.body()), media_type="application/msgpack")

    return app


def serve(args: argparse.Namespace) -> None:
    app = application(warm_pipeline(args))
    config = uvicorn.Config(
        app, host=HOST, port=args.port, log_level="warning", access_log=False, timeout_keep_alive=KEPT_ALIVE_SECONDS
    )
    listener = config.bind_socket()
    listener.listen()  # so that nobody is refused while uvicorn starts
    Thread(target=uvicorn.Server(config).run, args=([listener],), daemon=True).start()
    serve_until_told()
