"""`python -m sim_adapters.carla.headless [town=Town01] [port=2000] [version=0.9.16] [host=...]`.

Serves the unmodified CARLA client library without Unreal. `port=0` takes two free ports and prints
them. The server listens on 127.0.0.1; `host=0.0.0.0` opens it to the network, where nobody is
asked who they are.
"""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Sequence

from sim_adapters.carla.headless.server import HeadlessCarla, ServerOptions

READY_LINE = "listening on"
_KEYS = ("town", "port", "version", "host")


def parse_options(words: Sequence[str]) -> ServerOptions:
    """`key=value` words as options.

    Raises:
        SystemExit: help was asked for, or a word cannot be understood.
    """
    if any(word in ("-h", "--help", "help") for word in words):
        raise SystemExit(__doc__)
    pairs = dict(word.split("=", 1) for word in words if "=" in word)
    wrong = [word for word in words if "=" not in word or word.split("=", 1)[0] not in _KEYS]
    port = pairs.pop("port", "2000")
    if wrong or not port.isdigit() or int(port) > 65534:
        raise SystemExit(f"not understood: {' '.join(wrong) or f'port={port}'}\n{__doc__}")
    return ServerOptions(port=int(port), **pairs)


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until SIGINT or SIGTERM."""
    options = parse_options(sys.argv[1:] if arguments is None else arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        server = HeadlessCarla(options)
    except (FileNotFoundError, ValueError) as error:
        raise SystemExit(f"cannot start: {error}") from None
    except OSError as error:
        raise SystemExit(
            f"cannot listen on {options.host}:{options.port} and the next port ({error}): "
            f"choose another port="
        ) from None
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: server.stop())
    town = server.world.episode.town.name
    line = f"{READY_LINE} {options.host}:{server.port} ({town}, CARLA {options.version})"
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
    server.serve()


if __name__ == "__main__":
    main()
