"""How commands and options are declared, and what `--help` makes of it."""

from __future__ import annotations

import re
import shlex

import click
import pytest

from convert.cli import groups
from convert.cli.commands import COMMANDS
from convert.cli.main import root
from convert.cli.values import Known

#: Words in a metavar of values that a shell can list.
LISTED = {"FILE", "SOURCE", "DEST", "MANIFEST", "A", "B", "OUT", "FORMAT", "PROFILE", "PUSHER", "CONSUMER"}


@pytest.fixture(params=list(COMMANDS))
def command(request):
    context = click.Context(root, info_name="imgconv")
    return root.get_command(context, request.param)


def options(command):
    return [each for each in command.params if isinstance(each, click.Option)]


def test_every_command_has_a_summary_and_examples_that_parse(command):
    assert isinstance(command, groups.Command)
    assert command.short_help.endswith(".")
    assert command.examples
    calls = [line for line in command.examples if not line.startswith("#")]
    own = [line for line in calls if f"imgconv {command.name}" in line or command.name == "convert"]
    assert own
    for line in calls:
        words = shlex.split(line[line.index("imgconv ") :].partition(")")[0])[1:]  # up to the end of `$(…)`
        end = next((place for place, word in enumerate(words) if word in {"|", "&&", ">"}), len(words))
        words = words[:end]
        name = words.pop(0) if words[0] in COMMANDS else "convert"
        found = root.get_command(click.Context(root), name)
        found.make_context(name, words).close()


def test_every_option_is_in_a_group_and_described(command):
    titles = [group.title for group in groups.GROUPS]
    assert len(set(titles)) == len(titles)
    for each in options(command):
        assert isinstance(each, groups.Option), each.opts
        assert each.group in titles
        if not each.hidden:
            assert re.fullmatch(r"(?s)[A-Za-z`].*\.", each.help), each.opts


def test_no_help_text_states_a_default_by_hand(command):
    assert not [each.opts for each in options(command) if re.search(r"[\[(]default|\(default", each.help or "")]


def test_every_argument_is_described(command):
    found = [each for each in command.params if isinstance(each, click.Argument)]
    assert found == groups.arguments_of(command)
    assert all(each.about.endswith(".") for each in found)


def test_every_value_that_a_shell_can_list_is_completed(command):
    for each in command.params:
        with click.Context(command) as context:
            words = set(re.findall(r"[A-Z]+", each.make_metavar(context)))
            if words & LISTED:
                assert each.type.shell_complete(context, each, ""), each.name


def test_help_lists_each_option_once_below_its_group(imgconv, command):
    printed = imgconv(command.name, "--help").out
    sections = dict(re.findall(r"^(\w+):\n((?: .*\n|\n(?= ))+)", printed, re.MULTILINE))
    for each in options(command):
        name = each.opts[-1]
        where = [
            title for title, text in sections.items() if re.search(rf"^  (?:-\w, )?{name}\b(?!-)", text, re.MULTILINE)
        ]
        assert where == ([] if each.hidden else [each.group])
    assert sections["Examples"].count("imgconv")


def test_defaults_have_one_style(imgconv):
    printed = imgconv("convert", "--help").out
    assert re.findall(r"\[default: (\S+)\]", " ".join(printed.split())) == [
        "keep",
        "docker",
        "gzip",
        "digests",
        "64G",
        "all",
        "auto",
    ]


def test_an_option_of_an_unknown_group_is_not_lost():
    @click.command()
    @click.option("--plain", is_flag=True)
    def command():
        pass

    with click.Context(command) as context:
        assert [(title, each.opts) for title, found in groups.options_of(command, context) for each in found] == [
            ("Other", ["--plain"]),
            ("Other", ["--help"]),
        ]


def test_lists_of_known_words_are_those_that_the_commands_accept():
    from convert.cli import values
    from convert.codec import profile
    from convert.identity.push import pushers
    from convert.writer import registry

    for type_, accept in (
        (values.FORMAT, registry.target),
        (values.PROFILE, profile.get),
        (values.PUSHER, pushers.get),
    ):
        assert isinstance(type_, Known)
        with click.Context(root) as context:
            words = [item.value for item in type_.shell_complete(context, None, "")]
        assert len(set(words)) == len(words) > 3
        for word in words:
            accept(word)
