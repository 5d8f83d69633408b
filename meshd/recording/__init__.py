"""A node's life on record: who it was, then each (instant, event), with what its effects were.

| module     | what it knows                                                        |
|------------|----------------------------------------------------------------------|
| `entries`  | what a recording says, entry by entry                                |
| `events`   | an event as bytes, and back                                          |
| `plans`    | a contact plan as bytes, to the last bit, and back                   |
| `stream`   | the file: compressed blocks, each with a checksum                    |
| `journal`  | writes the entries of a life that goes on                            |

A node decides by its configuration, its seed and its events alone, so a recording replays
(`sim/replay.py`). The secret key is not in it, only the signatures that were made with it. All
else is: what the node heard, carried and stored.
"""

from meshd.recording.entries import Ended, Entry, Happened, Header, KeptPlan
from meshd.recording.events import events_of
from meshd.recording.journal import Journal, summary
from meshd.recording.stream import MAGIC, Packer, read

__all__ = [
    "MAGIC",
    "Ended",
    "Entry",
    "Happened",
    "Header",
    "Journal",
    "KeptPlan",
    "Packer",
    "events_of",
    "read",
    "summary",
]
