"""A program of tests: for each line of standard input that names one of its steps, one line of JSON."""
import inspect
import json
import sys
import traceback

steps = {}


def step(work):
    """Makes a function, or a coroutine, one that can be asked for by its name."""
    steps[work.__name__] = work
    return work


def _print(answer):
    print(json.dumps(answer, default=str), flush=True)


def serve():
    for line in sys.stdin:
        try:
            _print({"value": steps[line.strip()]()})
        except Exception:
            _print({"error": traceback.format_exc()})


async def serve_async():
    import asyncio

    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        try:
            value = steps[line.strip()]()
            _print({"value": await value if inspect.isawaitable(value) else value})
        except Exception:
            _print({"error": traceback.format_exc()})
