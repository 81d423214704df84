"""Tab completion of our magics, cell magics included."""

from __future__ import annotations

import re

from IPython.core.completer import (
    CompletionContext,
    SimpleCompletion,
    SimpleMatcherResult,
    context_matcher,
)

STACK_COMMANDS = ("status", "up", "down", "doctor", "versions")
_WORDS = {
    "%mltemporal": STACK_COMMANDS,
    "%jobs": ("--limit",),
    "%%train": ("--target", "--name", "--params", "--backend", "--timeout", "--force", "--as"),
}


@context_matcher()  # type: ignore[untyped-decorator]  # IPython is not typed here
def matcher(context: CompletionContext) -> SimpleMatcherResult:
    """Offer the words that fit behind one of our magics."""
    typed = re.fullmatch(r"\s*(%%?\w+)\s+(?:.*\s)?(\S*)", context.line_with_cursor)
    if context.cursor_line > 0 and "%%" in context.full_text[:2]:
        typed = None  # the body of a cell magic is ordinary Python
    words = _WORDS.get(typed[1], ()) if typed else ()
    fitting = [word for word in words if typed and word.startswith(typed[2])]
    # IPython replaces its own token, which ends at a dash: offer only what comes behind it.
    done = len(typed[2]) - len(context.token) if typed and typed[2].endswith(context.token) else 0
    return {"completions": [SimpleCompletion(text=word[done:], type="param") for word in fitting]}
