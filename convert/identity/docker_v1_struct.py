"""Docker's v1 image as its engines decode and encode it (moby image/image.go).

The struct serves `json` files in docker-save archives, v1 ID preimages, and images that were
saved before Docker 1.10.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, Final

from convert.errors import FormatError
from convert.jsonio.go_encode import sorted_map
from convert.jsonio.go_struct import Field, Omit, Reader, Struct
from convert.jsonio.go_values import (
    boolean,
    integer,
    integer_pointer,
    string,
    string_map,
    string_or_strings,
    string_set,
    strings,
    time,
    time_pointer,
)


class Engine(Enum):
    """Engines that write the v1 json of one config differently, by the first release that does."""

    #: 17.04 to 24, as 20.10 (it brought `variant`).
    DOCKER_20 = 20
    #: A missing `created` is null, health checks have a StartInterval.
    DOCKER_25 = 25
    #: No MacAddress, no empty OnBuild, ports normalised, Go's newer escapes.
    DOCKER_29 = 29


def _v1_image(engine: Engine) -> Struct:
    created = time if engine is Engine.DOCKER_20 else time_pointer
    container = _container_config(engine)
    return Struct(
        (
            Field("id", string, Omit.EMPTY),
            Field("parent", string, Omit.EMPTY),
            Field("comment", string, Omit.EMPTY),
            Field("created", created),
            Field("container", string, Omit.EMPTY),
            Field("container_config", container.read),
            Field("docker_version", string, Omit.EMPTY),
            Field("author", string, Omit.EMPTY),
            Field("config", container.pointer, Omit.NIL),
            Field("architecture", string, Omit.EMPTY),
            Field("variant", string, Omit.EMPTY),
            Field("os", string, Omit.EMPTY),
            Field("Size", integer, Omit.EMPTY),
        )
    )


def _container_config(engine: Engine) -> Struct:
    """Return Docker's container.Config (moby api/types/container/config.go)."""
    newest = engine is Engine.DOCKER_29
    ports: Reader = _ports if newest else string_set
    fields = [
        Field("Hostname", string),
        Field("Domainname", string),
        Field("User", string),
        Field("AttachStdin", boolean),
        Field("AttachStdout", boolean),
        Field("AttachStderr", boolean),
        Field("ExposedPorts", ports, Omit.EMPTY),
        Field("Tty", boolean),
        Field("OpenStdin", boolean),
        Field("StdinOnce", boolean),
        Field("Env", strings),
        Field("Cmd", string_or_strings),
        Field("Healthcheck", _health_config(engine).pointer, Omit.NIL),
        Field("ArgsEscaped", boolean, Omit.EMPTY),
        Field("Image", string),
        Field("Volumes", string_set),
        Field("WorkingDir", string),
        Field("Entrypoint", string_or_strings),
        Field("NetworkDisabled", boolean, Omit.EMPTY),
        Field("MacAddress", string, Omit.EMPTY),
        Field("OnBuild", strings, Omit.EMPTY if newest else Omit.NEVER),
        Field("Labels", string_map),
        Field("StopSignal", string, Omit.EMPTY),
        Field("StopTimeout", integer_pointer, Omit.NIL),
        Field("Shell", string_or_strings, Omit.EMPTY),
    ]
    return Struct(tuple(field for field in fields if not (newest and field.name == "MacAddress")))


def _health_config(engine: Engine) -> Struct:
    interval = [Field("StartInterval", integer, Omit.EMPTY)]
    return Struct(
        (
            Field("Test", strings, Omit.EMPTY),
            Field("Interval", integer, Omit.EMPTY),
            Field("Timeout", integer, Omit.EMPTY),
            Field("StartPeriod", integer, Omit.EMPTY),
            *(interval if engine is not Engine.DOCKER_20 else []),
            Field("Retries", integer, Omit.EMPTY),
        )
    )


_PORT_DIGITS: Final = 5


def _ports(value: Any, at: str) -> dict[str, dict[str, Any]] | None:
    """Read 29's set of network.Port: `80` is `80/tcp`, the protocol in lower case."""
    plain = string_set(value, at)
    return None if plain is None else sorted_map({_port(name, at): {} for name in plain})


def _port(name: str, at: str) -> str:
    number, _, protocol = name.partition("/")
    if not name:
        return ""
    digits = number.lstrip("0")
    # Python refuses numbers of more than 4300 digits.
    if not (number.isascii() and number.isdigit() and len(digits) <= _PORT_DIGITS and int(number[-5:]) < 1 << 16):
        msg = f"{at}: '{name[:60]}' is not a valid port"
        raise FormatError(msg, code="invalid-port")
    return f"{digits or 0}/{protocol.lower() or 'tcp'}"


#: The struct of each engine. A value that 29 refuses and older engines accept (a string for `Cmd`)
#: is read as they do, because it has only one possible meaning.
V1_IMAGE: Final = {engine: _v1_image(engine) for engine in Engine}
