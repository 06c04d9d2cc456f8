// What other libraries see of a shared library whose other names are hidden.
#ifndef H4L_EXPORT_H
#define H4L_EXPORT_H

#if defined(__GNUC__)
#define H4L_EXPORT __attribute__((visibility("default")))
#else
#define H4L_EXPORT
#endif

#endif
