"""The whole pipeline once: start the server, ask the example question, write answer.wav and answer.png, stop.

    python -m convai.demo
"""

import sys
from pathlib import Path

from convai.__main__ import main as convai
from convai.backends.launcher import Server, ServerError

EXAMPLES = Path(__file__).parent.parent / "client" / "examples"


def main() -> int:
    print("starting the server ...", flush=True)
    try:
        with Server(Path("model_repository")) as server:
            return convai(["ask", str(EXAMPLES / "question.wav"), *_options(server.grpc_address)])
    except (ServerError, ValueError, OSError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1


def _options(address: str) -> list[str]:
    context = str(EXAMPLES / "context.txt")
    return ["--context", context, "--out", "answer.wav", "--plot", "answer.png", "--steps", "--server", address]


if __name__ == "__main__":
    sys.exit(main())
