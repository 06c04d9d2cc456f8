// Exceptions of the h4l models. Every failure is one of these; no function returns a number that it could not compute.
#ifndef H4L_ERRORS_H
#define H4L_ERRORS_H

#include <exception>
#include <stdexcept>
#include <string>

#include "h4l/export.h"

namespace h4l {

/// Base of all exceptions of this library.
class H4L_EXPORT Error : public std::runtime_error {
 public:
   using std::runtime_error::runtime_error;
};

/// A file is missing, truncated, damaged, or of another kind.
class H4L_EXPORT FileError : public Error {
 public:
   using Error::Error;
};

/// A complete file that does not fit what was asked for: other columns, units, order, outputs.
class H4L_EXPORT MismatchError : public Error {
 public:
   using Error::Error;
};

/// Rows of another width, or a buffer of another length.
class H4L_EXPORT ShapeError : public Error {
 public:
   using Error::Error;
};

/// NaN or infinity in the input or in the result.
class H4L_EXPORT ValueError : public Error {
 public:
   using Error::Error;
};

/// Two threads in one generated model at the same time; a model per thread is what is needed.
class H4L_EXPORT ThreadError : public Error {
 public:
   using Error::Error;
};

/// Runs code; what others throw in it (no memory, a damaged document, a runtime) becomes an Error of the kind Wrong.
template <class Wrong = Error, class Call>
auto as_error(const std::string &what, Call call) -> decltype(call())
{
   try {
      return call();
   } catch (const Error &) {
      throw;
   } catch (const std::exception &error) {
      throw Wrong(what + ": " + error.what());
   }
}

}  // namespace h4l

#endif
