"""Commands, arguments and options as they are declared: the source of help, man pages and completion.

Each group below is a decorator that adds an option, so one word puts an option into its group:

    @groups.output("--force", is_flag=True, help="Replace what is at DEST.")

Help texts state no defaults and no lists that a type already has: both are added here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

F = TypeVar("F", bound="Callable[..., Any]")


class Option(click.Option):
    """An option in a group; its default is shown in its help."""

    def __init__(self, *names: Any, group: str, **attributes: Any) -> None:
        """`group` is the heading that the option stands under; a text as `show_default` describes a default."""
        if not attributes.get("is_flag") and attributes.get("default") is not None:
            attributes.setdefault("show_default", True)
        super().__init__(*names, **attributes)
        self.group = group

    def get_help_extra(self, ctx: click.Context) -> Any:
        """Return what follows the help text: only the default."""
        found = super().get_help_extra(ctx)
        default = self.show_default if isinstance(self.show_default, str) else found.get("default")
        return {"default": default} if default else {}


class Argument(click.Argument):
    """A positional argument with a description."""

    def __init__(self, *names: Any, about: str, **attributes: Any) -> None:
        """`about` is the description; click's own `help` needs click 8.5."""
        super().__init__(*names, **attributes)
        self.about = about


class Command(click.Command):
    """A command whose help has its arguments, its options in groups, and examples.

    Attributes:
        examples: command lines, with their comments as lines that begin with `#`.
        statuses: the exit statuses that this command has besides those of every command.
    """

    def __init__(
        self,
        *arguments: Any,
        examples: Sequence[str] = (),
        statuses: Mapping[int, str] | None = None,
        **attributes: Any,
    ) -> None:
        """`examples` and `statuses` are the attributes; everything else is click's."""
        attributes.setdefault("context_settings", {"help_option_names": HELP_NAMES})
        super().__init__(*arguments, **attributes)
        self.examples = tuple(examples)
        self.statuses = dict(statuses or {})

    def format_arguments(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write nothing: click before 8.5 has no such section."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the arguments, and the options group by group."""
        described = [(each.make_metavar(ctx), each.about) for each in arguments_of(self)]
        if described:
            with formatter.section("Arguments"):
                formatter.write_dl(described)
        for title, options in options_of(self, ctx):
            with formatter.section(title):
                formatter.write_dl([record for each in options if (record := each.get_help_record(ctx))])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples."""
        if self.examples:
            with formatter.section("Examples"):
                for line in self.examples:
                    formatter.write(f"{'':{formatter.current_indent}}{line}\n")
        super().format_epilog(ctx, formatter)


#: The names of the option that shows the help.
HELP_NAMES: Final = ["-h", "--help"]


class Group:
    """A group of options; calling it gives the decorator that adds one."""

    def __init__(self, title: str) -> None:
        """`title` is the heading in the help."""
        self.title = title

    def __call__(self, *names: str, **attributes: Any) -> Callable[[F], F]:
        """Return a decorator that adds an option; the arguments are those of `click.option`."""
        return click.option(*names, cls=Option, group=self.title, **attributes)


select: Final = Group("Select")
edit: Final = Group("Edit")
compare: Final = Group("Compare")
output: Final = Group("Output")
compression: Final = Group("Compression")
verify: Final = Group("Verify")
run: Final = Group("Run")
display: Final = Group("Display")
other: Final = Group("Other")
#: All groups, in the order in which the help lists them.
GROUPS: Final = (select, edit, compare, output, compression, verify, run, display, other)


#: The exit statuses of every command (docs/contract.md#exit-status).
STATUSES: Final = {
    0: "done",
    2: "the request cannot be met: usage, selection, existing destination, a target that cannot hold it",
    3: "the input is damaged, hostile, unsupported or not an image",
    4: "reading or writing failed: no such file, permission, disk full, out of memory",
    70: "a bug in imgconv",
    129: "ended by SIGHUP",
    130: "ended by SIGINT",
    141: "standard output was closed",
    143: "ended by SIGTERM",
}


def argument(name: str, *, about: str, **attributes: Any) -> Callable[[F], F]:
    """Return a decorator that adds a positional argument with its description."""
    return click.argument(name, cls=Argument, about=about, **attributes)


def command(
    name: str,
    *,
    summary: str,
    examples: Sequence[str],
    statuses: Mapping[int, str] | None = None,
    text: str | None = None,
    cls: type[Command] = Command,
) -> Callable[[Callable[..., Any]], Command]:
    """Return a decorator that makes a command of a function.

    Args:
        name: the word of the command.
        summary: one line for the list of commands.
        examples: command lines, with comments as lines that begin with `#`.
        statuses: exit statuses besides those that every command has.
        text: the description, the docstring of the function if None.
        cls: the class of the command.
    """
    return click.command(name, cls=cls, help=text, short_help=summary, examples=examples, statuses=statuses)


def arguments_of(command: click.Command) -> list[Argument]:
    """Return the positional arguments of a command."""
    return [each for each in command.params if isinstance(each, Argument)]


def options_of(command: click.Command, ctx: click.Context) -> Iterator[tuple[str, list[click.Option]]]:
    """Yield each group that has visible options, and these."""
    found: dict[str, list[click.Option]] = {group.title: [] for group in GROUPS}
    for each in command.get_params(ctx):
        if isinstance(each, click.Option) and not each.hidden:
            found[getattr(each, "group", other.title)].append(each)
    for title, options in found.items():
        if options:
            yield title, options
