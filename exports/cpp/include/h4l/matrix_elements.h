// Leading-order matrix elements of four leptons and the discriminant d_me, as the toolkit computes them. It needs the standard library, and
// h4l/matrix_element_tables.h, which `h4l cpp` writes: parton densities of CTEQ6L1 and the networks of gg -> (H* ->) ZZ -> 4l.
//
//     const double value = h4l::d_me(a1, b1, a2, b2);     // negative and positive lepton of each pair, px, py, pz, E in GeV
//     const auto ratios = h4l::matrix_element_ratios(a1, b1, a2, b2);
//
// Values and couplings are those of toolkit/kinematics/matrix_elements.py, formulas and their sources too. What is undefined is NaN: d_me and the
// gluons outside 200 < m4l < 2000 GeV and 40 < m_ll < 140 GeV.
#ifndef H4L_MATRIX_ELEMENTS_H
#define H4L_MATRIX_ELEMENTS_H

#include <algorithm>
#include <array>
#include <cmath>
#include <complex>
#include <cstddef>
#include <utility>

#include "h4l/matrix_element_tables.h"
#include "h4l/momenta.h"

namespace h4l {

/// Differential cross-sections at the momenta of an event over that of gg -> H* -> ZZ -> 4l.
struct MatrixElementRatios {
   double gluons = 0.0;        ///< of gg -> (H* ->) ZZ -> 4l: Higgs boson, box and interference
   double box = 0.0;           ///< of gg -> ZZ -> 4l without Higgs boson
   double annihilation = 0.0;  ///< of q qbar -> ZZ -> 4l, with parton luminosities at the scale m4l / 2
};

namespace detail {

using Complex = std::complex<double>;

// Written out, as products of std::complex look for NaN each time.
inline Complex times(const Complex &a, const Complex &b)
{
   return {a.real() * b.real() - a.imag() * b.imag(), a.real() * b.imag() + a.imag() * b.real()};
}

inline constexpr double z_mass = 91.1876, z_width = 2.4952, higgs_mass = 125.0, higgs_width = 0.00407, sin2_theta_w = 0.2312;
inline constexpr double beam_energy = 6500.0, annihilation_weight = 0.1;
inline constexpr std::size_t quark = 0, antiquark = 1, minus_1 = 2, plus_1 = 3, minus_2 = 4, plus_2 = 5;

inline double coupling_norm() { return std::sqrt(sin2_theta_w * (1.0 - sin2_theta_w)); }
/// Left and right coupling of a charged lepton to the Z in units of e.
inline std::array<double, 2> lepton_couplings() { return {(-0.5 + sin2_theta_w) / coupling_norm(), sin2_theta_w / coupling_norm()}; }
inline Complex z_propagator(double s) { return 1.0 / Complex(s - z_mass * z_mass, z_mass * z_width); }

/// Massless momenta of 1 2 -> a1 b1 a2 b2 in the rest frame of the four leptons, the beams along z.
struct PartonicEvent {
   PartonicEvent(const Momentum &a1, const Momentum &b1, const Momentum &a2, const Momentum &b2, Recoil recoil)
   {
      std::array<Momentum, 4> own{a1, b1, a2, b2};
      Momentum x = a1 + b1 + a2 + b2;
      y4l = std::atanh(x.pz / x.e);
      if (recoil == Recoil::transverse) {
         for (auto &lepton : own) lepton = detail::transverse(lepton, x);
         x = own[0] + own[1] + own[2] + own[3];
      }
      const double m = mass(x);
      for (std::size_t k = 0; k < 4; ++k) {
         Momentum &rest = p[k + 2];
         rest = to_rest(own[k], x, m);
         rest.e = std::sqrt(dot(rest, rest));
         m4l += rest.e;
      }
      p[quark] = {0.0, 0.0, 0.5 * m4l, 0.5 * m4l};
      p[antiquark] = {0.0, 0.0, -0.5 * m4l, 0.5 * m4l};
   }

   std::array<Momentum, 6> p;
   double m4l = 0.0, y4l = 0.0;
};

/// Products <i j> and [j i] = <i j>* of massless momenta.
class SpinorProducts {
 public:
   explicit SpinorProducts(const std::array<Momentum, 6> &p)
   {
      std::array<Complex, 6> upper, lower;
      for (std::size_t i = 0; i < 6; ++i) {
         const double plus = std::sqrt(p[i].e + p[i].px);
         upper[i] = plus;
         lower[i] = Complex(p[i].py, p[i].pz) / plus;
      }
      for (std::size_t i = 0; i < 6; ++i)
         for (std::size_t j = 0; j < 6; ++j) angles_[i][j] = times(upper[i], lower[j]) - times(lower[i], upper[j]);
   }

   const Complex &angle(std::size_t i, std::size_t j) const { return angles_[i][j]; }
   Complex square(std::size_t i, std::size_t j) const { return std::conj(angles_[j][i]); }
   double invariant(std::size_t i, std::size_t j) const { return std::norm(angles_[i][j]); }
   double invariant(std::size_t i, std::size_t j, std::size_t k) const { return invariant(i, j) + invariant(i, k) + invariant(j, k); }
   Complex sandwich(std::size_t i, std::size_t k, std::size_t l, std::size_t j) const
   {
      return times(square(i, k), angle(k, j)) + times(square(i, l), angle(l, j));
   }

 private:
   std::array<std::array<Complex, 6>, 6> angles_;
};

inline Complex higgs_loop(double m4l)
{
   Complex total = 0.0;
   for (const double m : {173.2, 4.75}) {
      const double tau = 4.0 * m * m / (m4l * m4l);
      Complex f;
      if (tau >= 1.0) {
         const double angle = std::asin(1.0 / std::sqrt(tau));
         f = angle * angle;
      } else {
         const double beta = std::sqrt(1.0 - tau);
         const Complex log(std::log((1.0 + beta) / (1.0 - beta)), -pi);
         f = -0.25 * times(log, log);
      }
      total += 1.5 * tau * (1.0 + (1.0 - tau) * f);
   }
   return total;
}

inline double higgs_squared(const PartonicEvent &event)
{
   const SpinorProducts v(event.p);
   const auto [left, right] = lepton_couplings();
   const double same = v.invariant(minus_1, minus_2) * v.invariant(plus_1, plus_2);
   const double opposite = v.invariant(minus_1, plus_2) * v.invariant(plus_1, minus_2);
   const double decay = (std::pow(left, 4) + std::pow(right, 4)) * same + 2.0 * left * left * right * right * opposite;
   const double propagators = std::norm(z_propagator(v.invariant(minus_1, plus_1))) * std::norm(z_propagator(v.invariant(minus_2, plus_2)));
   const double s = event.m4l * event.m4l, off = s - higgs_mass * higgs_mass;
   return std::norm(higgs_loop(event.m4l)) * s * s * propagators * decay / (off * off + std::pow(higgs_mass * higgs_width, 2));
}

/// Amplitudes of a left quark without couplings and propagators: both pairs from the quarks, a pair from the leptons of the other.
struct LeftQuark {
   Complex both, first, second;
};

inline LeftQuark left_quark(const SpinorProducts &v, std::size_t h1, std::size_t h2)
{
   std::size_t i = minus_1, j = plus_1, k = minus_2, m = plus_2;
   if (h1 == 1) std::swap(i, j);
   if (h2 == 1) std::swap(k, m);
   const auto from_quarks = [&](std::size_t a, std::size_t b, std::size_t c, std::size_t d) {
      const Complex chain = times(v.square(d, quark), v.angle(quark, a)) - times(v.square(d, b), v.angle(b, a));
      const double t = v.invariant(a, b) - v.invariant(quark, a) - v.invariant(quark, b);
      return times(times(v.angle(antiquark, c), chain), v.square(b, quark)) / t;
   };
   const auto from_leptons = [&](std::size_t a, std::size_t b, std::size_t c, std::size_t d) {
      const Complex one = times(times(v.angle(a, c), v.sandwich(d, a, c, antiquark)), v.square(quark, b)) / v.invariant(a, c, d);
      const Complex two = times(times(v.angle(a, antiquark), v.sandwich(quark, b, d, c)), v.square(d, b)) / v.invariant(b, c, d);
      return one - two;
   };
   const Complex first = from_leptons(i, j, k, m), second = from_leptons(k, m, i, j);
   return {from_quarks(i, j, k, m) + from_quarks(k, m, i, j), h1 == 0 ? first : -first, h2 == 0 ? second : -second};
}

/// Squared matrix elements of quarks of charge 2/3 and -1/3.
inline std::array<double, 2> annihilation_squared(const PartonicEvent &event, bool from_positive)
{
   auto p = event.p;
   if (!from_positive) std::swap(p[quark], p[antiquark]);
   const SpinorProducts v(p);
   const double s = event.m4l * event.m4l;
   const std::array<double, 3> squares{v.invariant(minus_1, plus_1), v.invariant(minus_2, plus_2), s};
   std::array<Complex, 3> z;
   for (std::size_t k = 0; k < 3; ++k) z[k] = z_propagator(squares[k]);
   const auto exchange = [&](std::size_t k, double charges, double couplings) { return charges / squares[k] + couplings * z[k]; };
   std::array<std::array<LeftQuark, 2>, 2> amplitudes;
   for (std::size_t h1 = 0; h1 < 2; ++h1)
      for (std::size_t h2 = 0; h2 < 2; ++h2) amplitudes[h1][h2] = left_quark(v, h1, h2);
   const auto lepton = lepton_couplings();
   std::array<double, 2> totals{};
   for (std::size_t kind = 0; kind < 2; ++kind) {
      const double charge = kind == 0 ? 2.0 / 3.0 : -1.0 / 3.0, isospin = kind == 0 ? 0.5 : -0.5;
      const std::array<double, 2> own{(isospin - charge * sin2_theta_w) / coupling_norm(), -charge * sin2_theta_w / coupling_norm()};
      for (std::size_t hq = 0; hq < 2; ++hq)
         for (std::size_t h1 = 0; h1 < 2; ++h1)
            for (std::size_t h2 = 0; h2 < 2; ++h2) {
               // Parity: a right quark with leptons (h1, h2) is the conjugate of a left quark with the opposite leptons.
               LeftQuark a = hq == 0 ? amplitudes[h1][h2] : amplitudes[1 - h1][1 - h2];
               if (hq == 1) a = {std::conj(a.both), std::conj(a.first), std::conj(a.second)};
               const auto boson = [&](std::size_t k, std::size_t h) { return exchange(k, -charge, own[hq] * lepton[h]); };
               const double both = lepton[h1] * lepton[h2];
               const Complex amplitude = times(times(boson(0, h1), boson(1, h2)), a.both) +
                                         times(times(boson(2, h1), exchange(1, 1.0, both)), a.first) +
                                         times(times(boson(2, h2), exchange(0, 1.0, both)), a.second);
               totals[kind] += std::norm(amplitude);
            }
   }
   return totals;
}

/// Densities of u, ubar, d, dbar, s, c, b over that of the gluon.
inline std::array<double, 7> gluon_ratios(double x, double scale)
{
   using tables::n_functions;
   std::array<double, n_functions> functions{};
   const double argument = 2.0 * std::pow(x, 0.3) - 1.0, level = std::log(scale / 300.0);
   functions[0] = 1.0;
   functions[1] = argument;
   for (std::size_t i = 2; i + 1 < n_functions; ++i) functions[i] = 2.0 * argument * functions[i - 1] - functions[i - 2];
   functions[n_functions - 1] = std::log1p(-x);
   std::array<double, 7> ratios{};
   for (std::size_t parton = 0; parton < 7; ++parton) {
      double exponent = 0.0;
      for (std::size_t j = tables::n_levels; j-- > 0;) {
         double sum = 0.0;
         for (std::size_t i = 0; i < n_functions; ++i) sum += tables::parton_density[parton][i][j] * functions[i];
         exponent = exponent * level + sum;
      }
      ratios[parton] = std::exp(exponent);
   }
   return ratios;
}

inline double annihilation_over_higgs(const PartonicEvent &event, double higgs)
{
   const double scale = 0.5 * event.m4l, x = event.m4l / (2.0 * beam_energy), rise = std::exp(event.y4l);
   if (!(x * rise < 1.0) || !(x / rise < 1.0)) return nan();
   const auto one = gluon_ratios(x * rise, scale), two = gluon_ratios(x / rise, scale);
   const auto up = [](const std::array<double, 7> &q, const std::array<double, 7> &a) { return q[0] * a[1] + q[5] * a[5]; };
   const auto down = [](const std::array<double, 7> &q, const std::array<double, 7> &a) { return q[2] * a[3] + q[4] * a[4] + q[6] * a[6]; };
   const auto forward = annihilation_squared(event, true), backward = annihilation_squared(event, false);
   const double summed = up(one, two) * forward[0] + down(one, two) * forward[1] + up(two, one) * backward[0] + down(two, one) * backward[1];
   const double running = 1.0 / 0.130 + (33.0 - 2.0 * 5.0) / (12.0 * pi) * std::log(scale * scale / (z_mass * z_mass));
   const double factor = 768.0 * pi * pi * std::pow(sin2_theta_w * (1.0 - sin2_theta_w), 2);
   return factor * summed * running * running / higgs;
}

/// Products of two spin-1 amplitudes of the decay of a boson.
inline std::array<double, 9> decay_functions(const Momentum &lepton, const Momentum &z, double m, const std::array<Momentum, 3> &axes)
{
   const double energy = 0.5 * m, cosine = (z.e * dot(lepton, axes[0]) - dot(z, axes[0]) * lepton.e) / m / energy;
   const double x = dot(lepton, axes[1]) / energy, y = dot(lepton, axes[2]) / energy;
   return {1.0, cosine, cosine * cosine, x, y, x * cosine, y * cosine, x * x - y * y, x * y};
}

template <std::size_t In, std::size_t Out>
std::array<double, Out> linear(const float (&weights)[Out][In], const float (&bias)[Out], const std::array<double, In> &x)
{
   std::array<double, Out> out{};
   for (std::size_t i = 0; i < Out; ++i) {
      double sum = static_cast<double>(bias[i]);
      for (std::size_t j = 0; j < In; ++j) sum += static_cast<double>(weights[i][j]) * x[j];
      out[i] = sum;
   }
   return out;
}

template <std::size_t N>
void silu(std::array<double, N> &x)
{
   for (double &value : x) value /= 1.0 + std::exp(-value);
}

template <class Network>
double gg_squared(const PartonicEvent &event)
{
   std::array<Momentum, 4> l{event.p[minus_1], event.p[plus_1], event.p[minus_2], event.p[plus_2]};
   if (std::abs(mass(l[2] + l[3]) - z_mass) < std::abs(mass(l[0] + l[1]) - z_mass)) {
      std::swap(l[0], l[2]);
      std::swap(l[1], l[3]);
   }
   const Momentum z1 = l[0] + l[1], z2 = l[2] + l[3];
   const double m_1 = mass(z1), m_2 = mass(z2), m_x = event.m4l;
   const bool inside = m_x >= 200.0 && m_x <= 2000.0 && m_1 >= 40.0 && m_1 <= 140.0 && m_2 >= 40.0 && m_2 <= 140.0;
   if (!inside) return nan();
   const Momentum flight = (1.0 / std::sqrt(dot(z1, z1))) * z1;
   const double sign = flight.pz < 0.0 ? -1.0 : 1.0, sine = std::sqrt(flight.px * flight.px + flight.py * flight.py);
   const Momentum across = (sign / sine) * Momentum{-flight.py, flight.px, 0.0, 0.0};
   const std::array<Momentum, 3> axes{flight, across, cross(across, flight)};
   const auto first = decay_functions(l[0], z1, m_1, axes), second = decay_functions(l[2], z2, m_2, axes);
   const double t_u = (std::pow(m_1 * m_1 - m_x * z1.e, 2) - std::pow(m_x * z1.pz, 2)) / std::pow(m_x, 4);
   const std::array<double, 6> x{std::log(m_x / 400.0), (m_1 - z_mass) / 10.0, (m_2 - z_mass) / 10.0, std::abs(flight.pz), sine, std::log(t_u)};
   auto hidden = linear(Network::w0, Network::b0, x);
   silu(hidden);
   auto next = linear(Network::w1, Network::b1, hidden);
   silu(next);
   const auto log_scale = linear(Network::w2, Network::b2, next);
   const auto relative = linear(Network::w3, Network::b3, next);
   double total = 0.0;
   for (std::size_t i = 0; i < 9; ++i)
      for (std::size_t j = 0; j < 9; ++j) total += relative[9 * i + j] * first[i] * second[j];
   total *= std::exp(log_scale[0]);
   if (!(total > 0.0) || !std::isfinite(total)) return nan();
   return total * std::pow(m_x, 4) * std::norm(z_propagator(m_1 * m_1)) * std::norm(z_propagator(m_2 * m_2));
}

}  // namespace detail

/// The ratios at the momenta of the negative and positive lepton of each pair.
inline MatrixElementRatios matrix_element_ratios(const Momentum &a1, const Momentum &b1, const Momentum &a2, const Momentum &b2,
                                                 Recoil recoil = Recoil::none)
{
   const detail::PartonicEvent event(a1, b1, a2, b2, recoil);
   const double higgs = detail::higgs_squared(event);
   return {detail::gg_squared<tables::Gluons>(event) / higgs, detail::gg_squared<tables::Box>(event) / higgs,
           detail::annihilation_over_higgs(event, higgs)};
}

/// log10(P_H / (P_gg + 0.1 P_qq)).
inline double d_me(const Momentum &a1, const Momentum &b1, const Momentum &a2, const Momentum &b2, Recoil recoil = Recoil::none)
{
   const auto ratios = matrix_element_ratios(a1, b1, a2, b2, recoil);
   return -std::log10(ratios.gluons + detail::annihilation_weight * ratios.annihilation);
}

}  // namespace h4l

#endif
