// Exceptions of the h4l models. Every failure is one of these; no function returns a number that it could not compute.
#ifndef H4L_ERRORS_H
#define H4L_ERRORS_H

#include <stdexcept>
#include <string>

namespace h4l {

/// Base of all exceptions of this library.
class Error : public std::runtime_error {
 public:
   using std::runtime_error::runtime_error;
};

/// A file is missing, truncated, damaged, or of another kind.
class FileError : public Error {
 public:
   using Error::Error;
};

/// A complete file that does not fit what was asked for: other columns, units, order, outputs.
class MismatchError : public Error {
 public:
   using Error::Error;
};

/// Rows of another width, or a buffer of another length.
class ShapeError : public Error {
 public:
   using Error::Error;
};

/// NaN or infinity in the input or in the result.
class ValueError : public Error {
 public:
   using Error::Error;
};

/// Two threads in one generated model at the same time; a model per thread is what is needed.
class ThreadError : public Error {
 public:
   using Error::Error;
};

}  // namespace h4l

#endif
