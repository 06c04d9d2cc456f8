"""Generate C++ code for a ratio network with SOFIE: a header, a file of weights, and the source around them.

SOFIE turns the graph into plain loops and BLAS calls. Around them goes a small source file with the metadata of the ONNX file
and the size and hash of the weights, so that a truncated or foreign weight file is refused before a number is read from it.
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

import onnx

from toolkit.errors import MissingExtraError, SchemaError

LITERAL_BYTES = 8000
BLOCK_ROWS = 512
"""Events per call of the generated code: its activations stay in the cache."""
_READS_A_WEIGHT = b"return std::stof(s);"
_FNV_OFFSET, _FNV_PRIME, _FNV_MASK = 14695981039346656037, 1099511628211, (1 << 64) - 1


def check_names(graph: onnx.GraphProto, path: Path) -> None:
    """Refuse a graph with names that could be more than names once they stand in code."""
    names = [value.name for part in (graph.node, graph.initializer, graph.input, graph.output) for value in part]
    names += [text for node in graph.node for text in (node.op_type, node.domain, *node.input, *node.output)]
    strange = next((name for name in names if not re.fullmatch(r"[A-Za-z0-9_./:-]{0,200}", name)), None)
    if strange is not None:
        what, expected = f"graph of {path}", "names of letters, digits and _ . / : -"
        raise SchemaError(what, got=f"{strange[:60]!r}", expected=expected, remedy="write the file again with exports.write_onnx")


def run_sofie(content: bytes, name: str, path: Path) -> tuple[bytes, bytes]:
    """Generate header and weights; SOFIE names its code after the file, so that it gets a copy of the right name."""
    sofie = _import_sofie()
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / f"{name}.onnx"
        copy.write_bytes(content)
        try:
            model = sofie.onnx.parse(str(copy))
            model.generate()
            model.output_generated(str(copy.with_suffix(".hxx")))
            header, weights = copy.with_suffix(".hxx").read_bytes(), copy.with_suffix(".dat").read_bytes()
        except (RuntimeError, OSError) as error:
            msg = f"SOFIE cannot read {path}"
            remedy = "write the file again with exports.write_onnx, or use the back end of the ONNX Runtime (--no-sofie)"
            raise SchemaError(
                msg, got=str(error).strip(), expected="operators of docs/onnx.md on tensors of two axes", remedy=remedy
            ) from error
    # The first line holds the time of day: the same model gives the same code.
    return _in_any_locale(header.split(b"\n", 1)[1], path), weights


def _in_any_locale(header: bytes, path: Path) -> bytes:
    """Let the generated code read its weights with `h4l::read_weight`: std::stof reads 0.25 as 0 in a German locale, without a word."""
    if header.count(_READS_A_WEIGHT) != 1:  # pragma: no cover - another release of SOFIE than the extra names
        msg = f"the code that SOFIE generated for {path} reads its weights in a way that depends on the locale"
        raise SchemaError(msg, expected="code of the release that the extra cpp names", remedy='pip install "h4l-toolkit[cpp]"')
    # Compilers are silent about system headers: warnings in generated code are nobody's to mend.
    return b'#pragma GCC system_header\n#include "h4l/weights_file.h"\n' + header.replace(_READS_A_WEIGHT, b"return h4l::read_weight(s);")


def _import_sofie() -> Any:
    try:
        import sofie  # noqa: PLC0415 - an extra
    except ImportError as error:
        msg = "SOFIE is not installed"
        raise MissingExtraError(msg, expected="the package sofie", remedy='pip install "h4l-toolkit[cpp]", or --no-sofie') from error
    return sofie


def fnv1a(content: bytes) -> int:
    """Hash bytes with FNV-1a, 64 bits, as `weights_file.h` does.

    Examples:
        >>> hex(fnv1a(b"a"))
        '0xaf63dc4c8601ec8c'
    """
    value = _FNV_OFFSET
    for byte in content:
        value = ((value ^ byte) * _FNV_PRIME) & _FNV_MASK
    return value


def open_header(name: str) -> str:
    """Write the header with which programs open a model.

    Examples:
        >>> open_header("ratio").count("@NAME@")
        0
    """
    return _OPEN_HEADER.replace("@NAME@", name)


def wrapper(name: str, metadata: str, *, weights: bytes, spread: bool, n_out: int) -> str:
    """Write the source that puts the generated code behind `h4l::Model`.

    Args:
        name: Name of the model.
        metadata: Its metadata, JSON text.
        weights: Its weights.
        spread: Whether there is the standard deviation over an ensemble.
        n_out: Number of log ratios.

    Examples:
        >>> wrapper("ratio", "{}", weights=b"1 2", spread=False, n_out=2).count("@SIZE@")
        0
    """
    values = {
        "NAME": name,
        "METADATA": cpp_literal(metadata),
        "SIZE": str(len(weights)),
        "HASH": str(fnv1a(weights)),
        "BLOCK": str(BLOCK_ROWS),
        "SPREAD": str(spread).lower(),
        "BUFFER": f"mutable std::vector<float> unused_ = std::vector<float>({BLOCK_ROWS} * {n_out});" if spread else "",
        "CALL": "log_ratio, spread == nullptr ? unused_.data() : spread" if spread else "log_ratio",
        "IGNORE": "" if spread else "      static_cast<void>(spread);\n",
    }
    # All at once: a name in the metadata may look like a key.
    return re.sub(r"@([A-Z]+)@", lambda key: values[key[1]], _WRAPPER)


def cpp_literal(text: str) -> str:
    r"""Write a text as string literals of C++: whatever is no plain letter or sign is an octal escape, so that nothing can end one.

    Examples:
        >>> cpp_literal('a"\\n')
        '"a\\042\\134n"'
    """
    codes = [chr(byte) if 32 <= byte < 127 and byte not in b'"\\?' else f"\\{byte:03o}" for byte in text.encode()]
    # A literal may hold 64 kB; pieces of a text are joined by the compiler.
    pieces = ["".join(codes[i : i + LITERAL_BYTES]) for i in range(0, len(codes), LITERAL_BYTES)]
    return "\n".join(f'"{piece}"' for piece in pieces or [""])


_OPEN_HEADER = """// Generated: the model @NAME@.
#ifndef H4L_MODEL_@NAME@_H
#define H4L_MODEL_@NAME@_H

#include <memory>
#include <string>

#include "h4l/export.h"
#include "h4l/model.h"

namespace h4l {

/// Loads the generated code and its weights; open_@NAME@ is what programs call.
H4L_EXPORT std::unique_ptr<Backend> load_@NAME@(const std::string &weights);

/// Opens @NAME@ with its file of weights. Throws FileError if the file is missing, damaged or of another model.
inline Model open_@NAME@(const std::string &weights = "@NAME@.dat")
{
   return Model(load_@NAME@(weights));
}

}  // namespace h4l

#endif
"""

_WRAPPER = """// Generated: the model @NAME@ behind h4l::Model. Compiled with relaxed arithmetic: nothing but SOFIE's code belongs here.
#include "@NAME@.hxx"

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "h4l/backend.h"
#include "h4l/errors.h"
#include "h4l/export.h"
#include "h4l/weights_file.h"

namespace {

class Generated final : public h4l::Backend {
 public:
   explicit Generated(const std::string &weights) : session_(weights, @BLOCK@) {}
   const std::string &metadata() const override { return metadata_; }
   bool has_spread() const override { return @SPREAD@; }
   std::size_t max_rows() const override { return @BLOCK@; }
   bool shareable() const override { return false; }
   void evaluate(const float *rows, std::size_t n_rows, float *log_ratio, float *spread) const override
   {
      const h4l::OneThread alone(inside_);
@IGNORE@      SOFIE_@NAME@::doInfer(session_, n_rows, rows, @CALL@);
   }

 private:
   // The session keeps the activations: one evaluation at a time, which the flag sees to.
   mutable std::atomic_flag inside_ = ATOMIC_FLAG_INIT;
   mutable SOFIE_@NAME@::Session session_;
   @BUFFER@
   const std::string metadata_ = @METADATA@;
};

}  // namespace

namespace h4l {

H4L_EXPORT std::unique_ptr<Backend> load_@NAME@(const std::string &weights);

std::unique_ptr<Backend> load_@NAME@(const std::string &weights)
{
   return as_error<FileError>(weights, [&]() -> std::unique_ptr<Backend> {
      check_weights_file(weights, @SIZE@ull, @HASH@ull);
      return std::make_unique<Generated>(weights);
   });
}

}  // namespace h4l
"""
