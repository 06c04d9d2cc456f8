// Checks the weight file of a generated model before a number is read from it, and reads its numbers in any locale.
#ifndef H4L_WEIGHTS_FILE_H
#define H4L_WEIGHTS_FILE_H

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <locale>
#include <sstream>
#include <string>
#include <system_error>

#include "h4l/errors.h"

namespace h4l {

/// Throws FileError unless the file has this size and this FNV-1a hash (64 bits).
inline void check_weights_file(const std::string &path, std::uint64_t size, std::uint64_t hash)
{
   std::ifstream file(path, std::ios::binary);
   if (!file) throw FileError("cannot read the weight file " + path);
   std::uint64_t found = 14695981039346656037ull, length = 0;
   char buffer[1 << 14];
   while (file.read(buffer, sizeof buffer), file.gcount() > 0) {
      for (std::streamsize i = 0; i < file.gcount(); ++i) found = (found ^ static_cast<unsigned char>(buffer[i])) * 1099511628211ull;
      length += static_cast<std::uint64_t>(file.gcount());
   }
   if (length != size)
      throw FileError(path + " has " + std::to_string(length) + " bytes, the weights of this model " + std::to_string(size) +
                      ": truncated, or of another model");
   if (found != hash) throw FileError(path + " is damaged, or belongs to another model");
}

/// Reads a number with a decimal point whatever the locale of the process; std::stof reads 0.25 as 0 where the comma is the decimal point.
inline float read_weight(const std::string &text)
{
   float value = 0.0f;
#if defined(__cpp_lib_to_chars)
   const char *end = text.data() + text.size();
   const auto [stop, error] = std::from_chars(text.data(), end, value);
   const bool good = error == std::errc() && stop == end;
#else
   std::istringstream stream(text);
   stream.imbue(std::locale::classic());
   const bool good = (stream >> value) && stream.peek() == std::char_traits<char>::eof();
#endif
   if (!good) throw FileError("the weight \"" + text + "\" is no number");
   return value;
}

}  // namespace h4l

#endif
