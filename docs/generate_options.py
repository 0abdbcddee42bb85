"""Write docs/options.md from the declarations in ovpart/options.py; a test holds the two together."""

from __future__ import annotations

from pathlib import Path

from ovpart.options import Options, declared

PAGE = Path(__file__).with_name("options.md")


def page() -> str:
    """Return the text of docs/options.md."""
    defaults = Options()
    lines = [
        "# Options",
        "",
        "Keyword arguments of `ovpart.plan` and `ovpart.Session`; on the command line with dashes (`--min-gain 0`).",
        '`None` always means "not given".',
        "This page is made from the declarations in `ovpart/options.py` by `docs/generate_options.py`.",
        "",
    ]
    for name, option in declared().items():
        where = "plan and session" if option.planning else "session only"
        default = getattr(defaults, name)
        lines += [
            f"## {name}",
            "",
            option.doc,
            "",
            f"Takes: {option.expects}. Default: `{default!r}`. Of: {where}.",
            "",
        ]
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(page())
