"""`imgconv completion`: the scripts with which shells complete, and the answers to their questions.

The scripts hold nothing about commands and options: they pass on the line up to the cursor, and the
declarations of the commands answer (`convert.cli.groups`). So a script stays right after an upgrade.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from convert.cli import groups, options
from convert.cli.commands import COMMANDS
from convert.cli.values import OneOf
from convert.errors import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from click.shell_completion import CompletionItem

_BASH: Final = r"""# Completion of imgconv for bash: eval "$(imgconv completion bash)"
_imgconv() {
    local program=${1/#\~\//$HOME/} current=${COMP_WORDS[COMP_CWORD]} kind value word='' prefix='' files=''
    type -P "$program" > /dev/null || program=imgconv
    COMPREPLY=()
    while IFS=$'\t' read -r kind value _; do
        case $kind in
            word) word=$value ;;
            file) files=1 ;;
            *) COMPREPLY+=("$value") ;;
        esac
    done < <("$program" completion bash --line "${COMP_LINE:0:COMP_POINT}" 2> /dev/null)
    if [[ $files ]]; then
        if ((${#COMPREPLY[@]} == 0)); then
            compopt -o default 2> /dev/null
        else
            compopt -o filenames 2> /dev/null
            while IFS= read -r value; do COMPREPLY+=("$value"); done < <(compgen -f -- "$word")
        fi
    fi
    # Readline breaks words at = : and @, and replaces only the last part, with the @.
    case $current in
        = | :) prefix=$word ;;
        *) [[ $word == *"$current" ]] && prefix=${word%"$current"} prefix=${prefix%@} ;;
    esac
    COMPREPLY=("${COMPREPLY[@]#"$prefix"}")
}
complete -o nosort -F _imgconv imgconv 2> /dev/null || complete -o default -F _imgconv imgconv
"""
_ZSH: Final = r"""#compdef imgconv
# Completion of imgconv for zsh: eval "$(imgconv completion zsh)" after compinit,
# or save this file as _imgconv in a folder of $fpath.
_imgconv() {
    local kind value about files
    local -a plain described
    while IFS=$'\t' read -r kind value about; do
        case $kind in
            word) ;;
            file) files=1 ;;
            *) if [[ -n $about ]]; then described+=("${value//:/\\:}:$about"); else plain+=("$value"); fi ;;
        esac
    done < <("${(Q)${words[1]}/#\~\//$HOME/}" completion zsh --line "${(j: :)words[1,CURRENT-1]} $PREFIX" 2> /dev/null)
    if (( $#described )); then _describe -V imgconv described; fi
    if (( $#plain )); then compadd -V imgconv -a plain; fi
    if [[ -n $files ]]; then
        compset -P '--*='
        _files
    fi
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _imgconv "$@"
else
    compdef _imgconv imgconv
fi
"""
_FISH: Final = r"""# Completion of imgconv for fish: imgconv completion fish | source
function __imgconv_complete
    set -l token (commandline -ct | string collect)
    for answer in (imgconv completion fish --line (commandline -cp | string collect) 2> /dev/null)
        set -l part (string split \t -- $answer)
        switch $part[1]
            case word
            case file
                set -l option (string match -r -- '^--[^=]*=' "$token")
                for path in (__fish_complete_path (string replace -- "$option" '' "$token"))
                    echo -- "$option$path"
                end
            case '*'
                string join \t -- $part[2..]
        end
    end
end
complete -c imgconv -f -k -a '(__imgconv_complete)'
"""
_SCRIPTS: Final = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}
#: Characters of a description.
_DESCRIPTION: Final = 60
#: A character that ends the last word of a line, so that an empty one is found too.
_MARK: Final = "\x01"


@groups.command(
    "completion",
    summary="Print the completion script of a shell.",
    examples=(
        "# in ~/.bashrc; for zsh in ~/.zshrc, after compinit",
        'eval "$(imgconv completion bash)"',
        "# for fish",
        "imgconv completion fish > ~/.config/fish/completions/imgconv.fish",
    ),
)
@groups.argument("shell", type=OneOf("shell", list(_SCRIPTS)), metavar="bash|zsh|fish", about="The shell.")
@groups.other("--line", hidden=True, help="Complete this line; the script calls it.")
def command(shell: str, line: str | None) -> None:
    """Print a script with which a shell completes imgconv.

    It completes commands, options, files, and the values of options, such as the
    formats of --to and the tools of --as.
    """
    if line is None:
        options.out(_SCRIPTS[shell].rstrip("\n"))
        return
    words = split(line)
    options.out(f"word\t{printable(words[-1])}")
    for item in candidates(words[1:]):
        if not item.value.isprintable():
            continue  # it repeats what stands on the line
        options.out("\t".join((item.type, item.value, _description(item.help or ""))))


def split(line: str) -> list[str]:
    """Return the words of a line of a shell; the last one ends at the cursor and may be empty."""
    from click.shell_completion import split_arg_string

    words = split_arg_string(line + _MARK)
    return [*words[:-1], words[-1].removesuffix(_MARK)]


def candidates(words: list[str]) -> Iterator[CompletionItem[str]]:
    """Yield what the last word can be; items of type `file` stand for the names of files.

    Args:
        words: the command line without `imgconv`.
    """
    from click.shell_completion import ShellComplete

    from convert.cli.main import GLOBAL, root

    def complete(arguments: list[str]) -> list[CompletionItem[str]]:
        return ShellComplete(root, {}, "imgconv", "").get_completions(arguments, word)

    *before, word = words
    found = [] if before else complete([])
    if not before or before[0] not in {*COMMANDS, *GLOBAL}:
        before = ["convert", *before]
    found += complete(before)
    # click completes the value of `--to=` as a word of its own.
    option, equals, _ = word.partition("=")
    for item in {(item.type, item.value): item for item in found}.values():
        if equals and option.startswith("--"):
            item.value = f"{option}={item.value}"
        yield item


def _description(text: str) -> str:
    """Return the beginning of a help text, up to the end of its first sentence or clause."""
    first = " ".join(text.split()).partition(". ")[0].rstrip(".")
    return first if len(first) <= _DESCRIPTION else first[:_DESCRIPTION].rpartition(" ")[0] + "…"
