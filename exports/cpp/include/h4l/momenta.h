// Momenta, boosts and angles, which h4l/observables.h and h4l/matrix_elements.h share. It needs the standard library alone.
#ifndef H4L_MOMENTA_H
#define H4L_MOMENTA_H

#include <algorithm>
#include <cmath>
#include <limits>

namespace h4l {

/// Components in the laboratory, GeV.
struct Momentum {
   double px = 0.0, py = 0.0, pz = 0.0, e = 0.0;
};

/// Beam axis of the decay angles: the laboratory's, or after a boost by the transverse velocity of the four leptons.
enum class Recoil { none, transverse };

inline Momentum operator+(const Momentum &p, const Momentum &q) { return {p.px + q.px, p.py + q.py, p.pz + q.pz, p.e + q.e}; }
inline Momentum operator-(const Momentum &p, const Momentum &q) { return {p.px - q.px, p.py - q.py, p.pz - q.pz, p.e - q.e}; }
inline Momentum operator*(double f, const Momentum &p) { return {f * p.px, f * p.py, f * p.pz, f * p.e}; }

namespace detail {

inline constexpr double pi = 3.14159265358979323846;
inline constexpr double plane_tolerance = 1e-12;  // the sine of an angle below which two momenta span no plane
inline double nan() { return std::numeric_limits<double>::quiet_NaN(); }

inline double dot(const Momentum &p, const Momentum &q) { return p.px * q.px + p.py * q.py + p.pz * q.pz; }
inline Momentum cross(const Momentum &p, const Momentum &q)
{
   return {p.py * q.pz - p.pz * q.py, p.pz * q.px - p.px * q.pz, p.px * q.py - p.py * q.px, 0.0};
}
inline double mass_squared(const Momentum &p) { return p.e * p.e - dot(p, p); }
inline double mass(const Momentum &p)
{
   const double square = mass_squared(p);
   return std::isnan(square) ? square : std::sqrt(std::max(square, 0.0));
}
inline double pt(const Momentum &p) { return std::sqrt(p.px * p.px + p.py * p.py); }
inline double eta(const Momentum &p) { return pt(p) > 0.0 ? std::asinh(p.pz / pt(p)) : nan(); }
inline double azimuth(const Momentum &p) { return std::atan2(p.py, p.px); }
inline double wrapped(double angle) { return angle - 2.0 * pi * std::ceil((angle - pi) / (2.0 * pi)); }

/// Boosts to the rest frame of another momentum, without a rotation.
inline Momentum to_rest(const Momentum &p, const Momentum &frame, double m)
{
   const double along = dot(p, frame), factor = (along / (frame.e + m) - p.e) / m;
   return {p.px + frame.px * factor, p.py + frame.py * factor, p.pz + frame.pz * factor, (p.e * frame.e - along) / m};
}

/// Boosts by minus (or plus) the transverse velocity of a frame.
inline Momentum transverse(const Momentum &p, const Momentum &frame, double sign = -1.0)
{
   const double bx = sign * frame.px / frame.e, by = sign * frame.py / frame.e;
   const double gamma = 1.0 / std::sqrt(1.0 - (bx * bx + by * by)), along = bx * p.px + by * p.py;
   const double factor = gamma * gamma / (1.0 + gamma) * along + gamma * p.e;
   return {p.px + factor * bx, p.py + factor * by, p.pz, gamma * (p.e + along)};
}

inline double plane_angle(double sine, double cosine, bool defined)
{
   if (!defined) return nan();
   if (sine == 0.0) return 0.0;
   const double angle = std::atan2(sine, cosine);
   return angle == -pi ? pi : angle;
}

inline double cosine(const Momentum &p, const Momentum &q)
{
   const double value = dot(p, q) / std::sqrt(dot(p, p) * dot(q, q));
   return std::isnan(value) ? value : std::clamp(value, -1.0, 1.0);
}

}  // namespace detail

}  // namespace h4l

#endif
