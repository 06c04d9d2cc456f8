// A small JSON reader, enough for the metadata of a model and for its reference file.
#ifndef H4L_JSON_H
#define H4L_JSON_H

#include <cstddef>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "h4l/errors.h"

namespace h4l {

/// A JSON value. Reading a value as another kind than it is throws MismatchError.
class Json {
 public:
   enum class Kind { null, boolean, number, text, list, object };

   /// Reads a complete document.
   static Json parse(const std::string &text)
   {
      Reader reader{text};
      Json value = reader.value(0);
      reader.space();
      if (reader.at != text.size()) reader.fail("the end");
      return value;
   }

   /// Reads a file.
   static Json read(const std::string &path)
   {
      std::ifstream file(path, std::ios::binary);
      if (!file) throw FileError("cannot read " + path);
      std::ostringstream content;
      content << file.rdbuf();
      try {
         return parse(content.str());
      } catch (const Error &error) {
         throw FileError(path + ": " + error.what());
      }
   }

   Kind kind() const { return kind_; }
   double number() const { return expect(Kind::number, "a number"), number_; }
   const std::string &text() const { return expect(Kind::text, "a text"), text_; }
   const std::vector<Json> &list() const { return expect(Kind::list, "a list"), list_; }
   bool has(const std::string &key) const { return kind_ == Kind::object && object_.count(key) != 0; }

   const Json &operator[](const std::string &key) const
   {
      expect(Kind::object, "an object");
      const auto found = object_.find(key);
      if (found == object_.end()) throw MismatchError("JSON: no key \"" + key + "\"");
      return found->second;
   }

 private:
   struct Reader {
      const std::string &text;
      std::size_t at = 0;

      [[noreturn]] void fail(const std::string &expected) const
      {
         throw MismatchError("JSON: expected " + expected + " at byte " + std::to_string(at) + " of " + std::to_string(text.size()));
      }
      void space()
      {
         while (at < text.size() && (text[at] == ' ' || text[at] == '\n' || text[at] == '\t' || text[at] == '\r')) ++at;
      }
      bool take(char c)
      {
         space();
         if (at >= text.size() || text[at] != c) return false;
         ++at;
         return true;
      }
      bool word(const char *expected)
      {
         const std::string w(expected);
         if (text.compare(at, w.size(), w) != 0) return false;
         at += w.size();
         return true;
      }
      Json value(int depth)
      {
         if (depth > 64) fail("less than 64 levels");
         space();
         Json v;
         if (at >= text.size()) fail("a value");
         if (text[at] == '"') {
            v.kind_ = Kind::text;
            v.text_ = string();
         } else if (take('[')) {
            v.kind_ = Kind::list;
            if (!take(']')) {
               do v.list_.push_back(value(depth + 1));
               while (take(','));
               if (!take(']')) fail("] or ,");
            }
         } else if (take('{')) {
            v.kind_ = Kind::object;
            if (!take('}')) {
               do {
                  space();
                  std::string key = string();
                  if (!take(':')) fail(":");
                  v.object_[std::move(key)] = value(depth + 1);
               } while (take(','));
               if (!take('}')) fail("} or ,");
            }
         } else if (word("true") || word("false")) {
            v.kind_ = Kind::boolean;
         } else if (word("null")) {
            v.kind_ = Kind::null;
         } else {
            v.kind_ = Kind::number;
            v.number_ = number();
         }
         return v;
      }
      double number()
      {
         const char *begin = text.c_str() + at;
         char *end = nullptr;
         const bool starts = *begin == '-' || (*begin >= '0' && *begin <= '9');
         const double result = starts ? std::strtod(begin, &end) : 0.0;
         if (!starts || end == begin) fail("a value");
         at += static_cast<std::size_t>(end - begin);
         return result;
      }
      std::string string()
      {
         if (at >= text.size() || text[at] != '"') fail("a text");
         std::string out;
         for (++at; at < text.size() && text[at] != '"'; ++at) {
            if (text[at] != '\\') {
               out += text[at];
               continue;
            }
            if (++at >= text.size()) break;
            switch (text[at]) {
            case 'n': out += '\n'; break;
            case 't': out += '\t'; break;
            case 'r': out += '\r'; break;
            case 'b': out += '\b'; break;
            case 'f': out += '\f'; break;
            case 'u': unicode(out); break;
            default: out += text[at];
            }
         }
         if (at >= text.size()) fail("the end of a text");
         ++at;
         return out;
      }
      void unicode(std::string &out)
      {
         if (at + 4 >= text.size()) fail("four hexadecimal digits");
         const auto code = static_cast<unsigned>(std::strtoul(text.substr(at + 1, 4).c_str(), nullptr, 16));
         at += 4;
         if (code < 0x80) {
            out += static_cast<char>(code);
         } else if (code < 0x800) {
            out += static_cast<char>(0xC0 | (code >> 6));
            out += static_cast<char>(0x80 | (code & 0x3F));
         } else {
            out += static_cast<char>(0xE0 | (code >> 12));
            out += static_cast<char>(0x80 | ((code >> 6) & 0x3F));
            out += static_cast<char>(0x80 | (code & 0x3F));
         }
      }
   };

   void expect(Kind kind, const char *what) const
   {
      if (kind_ != kind) throw MismatchError(std::string("JSON: expected ") + what);
   }

   Kind kind_ = Kind::null;
   double number_ = 0.0;
   std::string text_;
   std::vector<Json> list_;
   std::map<std::string, Json> object_;
};

}  // namespace h4l

#endif
