"""Files that the toolkit writes and reads: event tables, atomic writing, hashes."""

from toolkit.artifacts.atomic import atomic_path, make_folder, write_bytes, write_json, write_text
from toolkit.artifacts.events import ChunkInfo, EventTable, chunk_table, read_events, read_info, write_chunk, write_index
from toolkit.artifacts.hashing import code_hash, file_sha256, stage_key

__all__ = [
    "ChunkInfo",
    "EventTable",
    "atomic_path",
    "chunk_table",
    "code_hash",
    "file_sha256",
    "make_folder",
    "read_events",
    "read_info",
    "stage_key",
    "write_bytes",
    "write_chunk",
    "write_index",
    "write_json",
    "write_text",
]
