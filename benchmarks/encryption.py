"""What does it cost that everything which goes through Temporal is sealed?

``python benchmarks/encryption.py [--repeat 9] [--json FILE]``

The same jobs with and without, in turns of services each; every figure is a median.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from pathlib import Path

from launch import TABLE, give_a_number, launch, timed, warm_up
from own_stack import own_stack
from table import Answer, Line, machine, shown, write_json
from temporalio.api.common.v1 import Payload
from temporalio.converter import WorkflowSerializationContext

import mltemporal
from mltemporal.encryption.codec import EncryptionCodec
from mltemporal.encryption.keyring import home_keyring

ROUNDS = 3
PAYLOADS_A_JOB = 14
"""Of a training without retries, as its history has them: arguments, answers, summaries."""


def jobs(repeat: int) -> Answer:
    handle: dict[str, list[float]] = {"on": [], "off": []}
    whole: dict[str, list[float]] = {"on": [], "off": []}
    for _ in range(ROUNDS):
        for name, settings in (("on", {}), ("off", {"MLTEMPORAL_ENCRYPTION_KEYS": "none"})):
            with own_stack(settings):
                warm_up()
                for _ in range(repeat):
                    handle[name].append(launch(TABLE))
                    whole[name].append(timed(lambda: mltemporal.train(TABLE, give_a_number).result())[1])
    beside = "the same without encryption"
    return Answer(
        question="A trivial job with everything sealed",
        lines=[
            Line(what=what, seconds=measured["on"], beside=beside, their_seconds=measured["off"], target=1.1)
            for what, measured in (("to the handle", handle), ("from the call to the result", whole))
        ],
        notes=[f"{PAYLOADS_A_JOB} payloads sealed and opened: {shown(sealing())}"],
    )


def sealing() -> float:
    """Return the seconds that sealing and opening a job's payloads takes."""
    payload = Payload(metadata={"encoding": b"json/plain"}, data=b"x" * 300)
    context = WorkflowSerializationContext(namespace="default", workflow_id="training-1")

    async def once(codec: EncryptionCodec) -> None:
        await codec.decode(await codec.encode([payload]))

    async def all_of_them(path: Path) -> float:
        codec = EncryptionCodec(home_keyring(path)).with_context(context)
        await once(codec)
        began = time.perf_counter()
        for _ in range(100 * PAYLOADS_A_JOB):
            await once(codec)
        return (time.perf_counter() - began) / 100

    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(all_of_them(Path(folder) / "keys.json"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=9)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    print(machine())
    answer = jobs(arguments.repeat)
    print(answer)
    if arguments.json:
        write_json(arguments.json, [answer])


if __name__ == "__main__":
    main()
