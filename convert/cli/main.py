"""`imgconv`: find the command, run it, and turn errors into one line and an exit status.

`convert` is implied unless the first argument is a command, `--help` or `--version`. Options may
therefore come first, and a file called `id` is `./id`.
"""

from __future__ import annotations

import gc
import importlib
import io
import os
import signal
import sys
from typing import TYPE_CHECKING, Any, Final, NoReturn

import click

from convert.archive.stream_sink import DescriptorStream
from convert.cancel import Cancelled
from convert.cli import groups, signals
from convert.cli.commands import COMMANDS
from convert.errors import ImgconvError, StorageError, UsageError, printable, shortened, suggestion

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Buffer

#: Objects that may be created before the first garbage collection.
_COLLECT_AFTER: Final = 50_000
GLOBAL: Final = frozenset({"--help", "-h", "--version"})
_BROKEN_PIPE: Final = signals.SIGNALLED + signal.SIGPIPE
#: After a signal, output that is still buffered is not written: its reader may be stopped.
_SIGNAL_STATUSES: Final = frozenset(
    signals.SIGNALLED + number for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
)
#: The message of CPython if the system cannot start a thread (Modules/_threadmodule.c).
_NO_THREAD: Final = "start new thread"
#: EX_SOFTWARE of sysexits.h. It is not in the contract, because no input may lead to it.
_BUG: Final = 70


class _Commands(click.Group):
    """Finds commands and imports only the one that is run, for a short start-up time."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        module = COMMANDS.get(cmd_name)
        if module is None:
            return None
        command = importlib.import_module(f"convert.cli.{module}").command
        if not isinstance(command, click.Command):
            raise TypeError(f"convert.cli.{module}.command is not a click command")
        return command


def _version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        from importlib.metadata import version

        click.echo(f"imgconv {version('imgconv')}")
        ctx.exit()


@click.group(cls=_Commands, context_settings={"help_option_names": groups.HELP_NAMES})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version.")
def root() -> None:
    """Convert container image archives, and show every identifier of an image.

    imgconv SOURCE --to FORMAT DEST is short for imgconv convert.
    """


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit with the contract's status."""
    # Imported objects live until the end: collecting garbage among them takes a tenth of a short
    # run. Reference cycles are still collected later.
    gc.set_threshold(_COLLECT_AFTER)
    _prepare_standard_streams()
    status = run(list(sys.argv[1:] if arguments is None else arguments))
    if status not in _SIGNAL_STATUSES:
        status = _flush(status)
    # Python's regular exit collects garbage, and prints errors if a late signal interrupts finalisers.
    os._exit(status)


def run(arguments: list[str]) -> int:
    """Run the command line and return the exit status (docs/contract.md#exit-status)."""
    given = arguments
    if arguments and arguments[0] not in COMMANDS and arguments[0] not in GLOBAL:
        arguments = ["convert", *arguments]
    if meant := _misplaced_options(given):
        _say(f"options come after the command: {meant}")
        return UsageError.exit_status
    debug = "--debug" in arguments
    try:
        with signals.ending() as came:
            try:
                status = _command(arguments)
                sys.stdout.flush()
            except BaseException:
                if came.number is not None:  # other errors follow from it: the other end of a pipe got the signal too
                    return signals.SIGNALLED + came.number
                raise
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else _BUG
    except click.ClickException as error:
        if arguments:
            _say(_one_line(error, given))
        else:
            error.show()  # the help
        return UsageError.exit_status
    except KeyboardInterrupt as error:  # outside the handlers above
        return signals.SIGNALLED + (error.number if isinstance(error, Cancelled) else signal.SIGINT)
    except BrokenPipeError:
        return _BROKEN_PIPE
    except ImgconvError as error:
        if debug:
            raise
        _say(str(error))
        return error.exit_status
    except OSError as error:
        if debug:
            raise
        _say(str(StorageError.from_os(error)))
        return StorageError.exit_status
    except MemoryError:
        if debug:
            raise
        _say("out of memory")
        return StorageError.exit_status
    except ImportError as error:
        # A library cannot be mapped (memory limit), or the installation is incomplete.
        if debug:
            raise
        _say(f"cannot load a part of imgconv or of its libraries: {shortened(str(error))}")
        return StorageError.exit_status
    except RuntimeError as error:
        if debug or _NO_THREAD not in str(error):
            return _bug(error, debug=debug)
        _say("cannot start a thread: the system's limit is reached (-j 1 needs the fewest)")
        return StorageError.exit_status
    except Exception as error:  # noqa: BLE001 - status 1 would pass for an answer
        return _bug(error, debug=debug)
    return status


def _bug(error: Exception, *, debug: bool) -> int:
    """Report an unexpected error in one line; return its status."""
    if debug:
        raise error
    _say(f"internal error: {type(error).__name__}: {shortened(str(error))} (a bug in imgconv; --debug shows where)")
    return _BUG


def _command(arguments: list[str]) -> int:
    """Run a command and return its own status.

    click's `main` is not used, because it returns status 1 for a closed pipe.
    """
    try:
        with root.make_context("imgconv", list(arguments)) as context:
            status: Any = root.invoke(context)
    except click.exceptions.Exit as end:
        return end.exit_code
    return status if isinstance(status, int) else 0


def _prepare_standard_streams() -> None:
    """Make standard streams accept any text; open those that were closed when the process began.

    Otherwise the first files that are opened would get their numbers, and all that is printed would
    be written to them. The replacement for standard output refuses writes.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDONLY)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            setattr(sys, name, _cancellable(stream))
        elif stream is None and name == "stdout":
            # What is printed there is lost: an error of writing, as on a full disk.
            sys.stdout = open(1, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
        elif stream is None:
            sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - open until the process ends


class _Output(io.FileIO):
    """Standard output or standard error; it checks for cancellation while the reader does not read."""

    def __init__(self, fd: int) -> None:
        super().__init__(fd, "w", closefd=False)
        self._stream = DescriptorStream(fd, owned=False)

    def write(self, data: Buffer, /) -> int:
        view = memoryview(data).cast("B")
        self._stream.write(view)
        return len(view)


def _cancellable(stream: io.TextIOWrapper) -> io.TextIOWrapper:
    """Return a text stream that writes to the same file as `stream` and can be cancelled."""
    try:
        raw = _Output(stream.fileno())
    except OSError:
        return stream
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=stream.encoding,
        # A locale that cannot encode a character of a name is not an error.
        errors="backslashreplace",
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def _misplaced_options(given: list[str]) -> str | None:
    """Return how a command line with options before its command should begin; None for any other.

    Without --to and --add-repositories, an implied `convert` always fails, so nothing valid is refused.
    """
    if not given or not given[0].startswith("-") or given[0] in {"-", "--"}:
        return None
    if any(word.partition("=")[0] in {*GLOBAL, "--to", "--add-repositories"} for word in given):
        return None
    place = next((place for place, word in enumerate(given) if word in COMMANDS), None)
    if place is None or any(os.path.lexists(word) for word in given[: place + 1]):
        return None
    import shlex

    return f"imgconv {given[place]} {shortened(shlex.join(given[:place]), 100)} ..."


def _one_line(error: click.ClickException, given: list[str]) -> str:
    """Return click's error about the command line in the form of all other errors.

    `given` are the arguments as the user typed them.
    """
    text = shortened(error.format_message().rstrip("."))
    word = given[0]
    meant = "" if word.startswith("-") or os.path.lexists(word) else suggestion(word, COMMANDS)
    if word not in COMMANDS and meant:
        return f"{shortened(word)!r} is not a command, file or folder ({meant}imgconv --help lists the commands)"
    context = error.ctx if isinstance(error, click.UsageError) else None
    if context is None:
        return text
    here = f"; the file of that name is ./{word}" if word in COMMANDS and os.path.lexists(word) else ""
    return f"{text} ({context.command_path} --help lists the options{here})"


def _say(text: str) -> None:
    """Print one error line; nothing is printed if standard error is closed."""
    try:
        click.echo(f"imgconv: {printable(text)}", err=True)
    except OSError:
        return


def _flush(status: int) -> int:
    """Flush the standard streams; return the final status."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        return status or _BROKEN_PIPE
    except (OSError, ValueError) as error:
        if not status:
            _say(str(StorageError.from_os(error)) if isinstance(error, OSError) else str(error))
        return status or StorageError.exit_status
    return status
