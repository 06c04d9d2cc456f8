"""Files that the toolkit writes and reads: event tables, atomic writing, hashes."""

from toolkit.artifacts.atomic import atomic_path, make_folder, write_bytes, write_json, write_text
from toolkit.artifacts.events import (
    NOMINAL,
    ChunkInfo,
    EventTable,
    chunk_table,
    read_events,
    read_info,
    variations_of,
    write_chunk,
    write_index,
)
from toolkit.artifacts.hashing import code_hash, file_sha256, sampled_digest, stage_key
from toolkit.artifacts.matching import match_events

__all__ = [
    "NOMINAL",
    "ChunkInfo",
    "EventTable",
    "atomic_path",
    "chunk_table",
    "code_hash",
    "file_sha256",
    "make_folder",
    "match_events",
    "read_events",
    "read_info",
    "sampled_digest",
    "stage_key",
    "variations_of",
    "write_bytes",
    "write_chunk",
    "write_index",
    "write_json",
    "write_text",
]
