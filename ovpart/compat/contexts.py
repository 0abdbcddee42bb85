"""The entries of a session's configuration that ask for a file with compiled clusters."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ovpart.compat.warn import warn
from ovpart.errors import OptionError

if TYPE_CHECKING:
    from ovpart.session import Session

SHARING = {"ep.share_ep_contexts": "share_ep_contexts", "ep.stop_share_ep_contexts": "stop_share_ep_contexts"}
"""Entries that are options of a session."""
PREFIX = "ep.context_"
"""Of the entries that are meant here; onnxruntime's islands do not get them."""
_FLAGS = {"0": False, "1": True}


def write_if_asked(session: Session, entries: Mapping[str, str]) -> tuple[Path, ...]:
    """Write the file that ``ep.context_enable`` asks for.

    Parameters
    ----------
    session : Session
        The session, compiled.
    entries : mapping of str to str
        ``ep.context_enable``, ``ep.context_embed_mode`` (by default 0, as in onnxruntime), ``ep.context_file_path``
        (by default the model's name with ``_ctx`` behind it).

    Returns
    -------
    tuple of Path
        What was written; nothing where nothing is asked for.

    Raises
    ------
    OptionError
        If a flag is not 0 or 1, or there is no name for the file.
    """
    if not _flag(entries, "ep.context_enable"):
        return ()
    given = entries.get("ep.context_file_path", "")
    source = session.model.path
    if not given and source is None:
        raise OptionError("ep.context_enable needs ep.context_file_path where the model is not from a file")
    path = Path(given) if given or source is None else source.with_name(f"{source.stem}_ctx.onnx")
    unknown = [name for name in entries if name.startswith(PREFIX) and name not in _KNOWN]
    for name in unknown:
        warn(f"the config entry {name}={entries[name]!r} has no effect")
    return session.save_context(path, embed=_flag(entries, "ep.context_embed_mode"))


def sharing_asked(entries: Mapping[str, str]) -> dict[str, bool]:
    """Return the options that entries stand for; raises OptionError where one is not 0 or 1."""
    return {option: _flag(entries, entry) for entry, option in SHARING.items() if entry in entries}


_KNOWN = ("ep.context_enable", "ep.context_embed_mode", "ep.context_file_path")


def _flag(entries: Mapping[str, str], name: str) -> bool:
    value = entries.get(name, "0")
    if value not in _FLAGS:
        raise OptionError(f"config entry {name!r} cannot be {value!r}: it takes '0' or '1'")
    return _FLAGS[value]
