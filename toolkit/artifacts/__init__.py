"""Files that the toolkit writes and reads: event tables, manifest, atomic writing, hashes."""

from toolkit.artifacts.atomic import atomic_path, make_folder, write_bytes, write_json, write_text
from toolkit.artifacts.events import ChunkInfo, EventTable, chunk_table, read_events, read_info, write_chunk, write_index
from toolkit.artifacts.hashing import code_hash, file_sha256, stage_key
from toolkit.artifacts.manifest import Manifest, build_manifest, config_hash, library_versions, read_manifest, write_manifest

__all__ = [
    "ChunkInfo",
    "EventTable",
    "Manifest",
    "atomic_path",
    "build_manifest",
    "chunk_table",
    "code_hash",
    "config_hash",
    "file_sha256",
    "library_versions",
    "make_folder",
    "read_events",
    "read_info",
    "read_manifest",
    "stage_key",
    "write_bytes",
    "write_chunk",
    "write_index",
    "write_json",
    "write_manifest",
    "write_text",
]
