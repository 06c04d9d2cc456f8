// JSON by nlohmann-json (its package, found by CMake), with failures as exceptions of this library.
#ifndef H4L_JSON_H
#define H4L_JSON_H

#include <fstream>
#include <string>

#include <nlohmann/json.hpp>

#include "h4l/errors.h"

namespace h4l {

using Json = nlohmann::json;

/// Runs code that reads JSON, and says what is wrong with the document as a MismatchError.
template <class Read>
auto reading_json(Read read) -> decltype(read())
{
   return as_error<MismatchError>("JSON", read);
}

/// Reads a complete document.
inline Json parse_json(const std::string &text)
{
   return reading_json([&] { return Json::parse(text); });
}

/// Reads a file.
inline Json read_json(const std::string &path)
{
   std::ifstream file(path, std::ios::binary);
   if (!file) throw FileError("cannot read " + path);
   return as_error<FileError>(path, [&] { return Json::parse(file); });
}

}  // namespace h4l

#endif
