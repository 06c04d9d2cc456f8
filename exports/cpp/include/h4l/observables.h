// Observables of four leptons and jets, as the toolkit computes them, in the order of a model's columns. It needs the standard library alone.
//
//     const h4l::Observables observables({"m4l", "cos_theta_star", "n_jets", "m_jj_filled", "has_m_jj"}, {{"m_jj", 0.0}});
//     std::vector<double> row = observables(leptons, jets);               // empty: no four leptons of two pairs
//     std::vector<float> log_ratio = model.evaluate(row);
//
// Momenta are px, py, pz, E in the laboratory, GeV; angles radians. Leptons and jets come in any order. Every function is const and keeps no state:
// threads can share an object. What an event does not have (m_jj with one jet, a plane of parallel momenta) is NaN, unless it is filled.
// d_me, me_gg, me_box and me_qq are known where h4l/matrix_element_tables.h is there, which `h4l cpp` writes.
#ifndef H4L_OBSERVABLES_H
#define H4L_OBSERVABLES_H

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "h4l/errors.h"
#include "h4l/momenta.h"
#if __has_include("h4l/matrix_element_tables.h")
#include "h4l/matrix_elements.h"
#endif

namespace h4l {

struct Lepton {
   Momentum p;
   int pdg_id = 0;  ///< 11 and 13 are the negative leptons
};

/// Which pair of the best quadruplet is Z1: nearest to the mass of the Z, heavier, or of larger transverse momentum.
enum class Z1Convention { leading, heavier, harder };
/// The convention of a name, as a model's z1() gives it; throws MismatchError for another one.
inline Z1Convention z1_convention(const std::string &name)
{
   if (name == "leading") return Z1Convention::leading;
   if (name == "heavier") return Z1Convention::heavier;
   if (name == "harder") return Z1Convention::harder;
   throw MismatchError("Z1 is the pair \"" + name + "\", expected leading, heavier or harder");
}
/// Positions of the negative and positive lepton of Z1, then of Z2; found is false where there are no two pairs.
struct Quadruplet {
   std::size_t a1 = 0, b1 = 0, a2 = 0, b2 = 0;
   bool found = false;
};

/// Chooses Z1, the pair of one flavour and opposite charge with the mass nearest to m_z, and Z2, the hardest pair of the others.
inline Quadruplet pair_leptons(const std::vector<Lepton> &leptons, Z1Convention z1 = Z1Convention::leading, double m_z = 91.1876)
{
   using Pair = std::pair<std::size_t, std::size_t>;
   std::vector<Pair> pairs;
   for (std::size_t i = 0; i < leptons.size(); ++i)
      for (std::size_t j = i + 1; j < leptons.size(); ++j)
         if (leptons[i].pdg_id != 0 && leptons[i].pdg_id == -leptons[j].pdg_id && std::isfinite(detail::mass(leptons[i].p + leptons[j].p)))
            pairs.emplace_back(i, j);
   if (pairs.size() < 2) return {};
   const auto distance = [&](const Pair &p) { return std::abs(detail::mass(leptons[p.first].p + leptons[p.second].p) - m_z); };
   const auto sum = [&](const Pair &p) { return detail::pt(leptons[p.first].p) + detail::pt(leptons[p.second].p); };
   Pair first = pairs[0];
   for (const auto &p : pairs)
      if (distance(p) < distance(first)) first = p;
   const Pair *second = nullptr;
   for (const auto &p : pairs) {
      const bool apart = p.first != first.first && p.first != first.second && p.second != first.first && p.second != first.second;
      if (apart && (second == nullptr || sum(p) > sum(*second))) second = &p;
   }
   if (second == nullptr) return {};
   const auto ordered = [&](const Pair &p) { return leptons[p.first].pdg_id > 0 ? p : Pair(p.second, p.first); };
   Pair one = ordered(first), two = ordered(*second);
   const auto size = [&](const Pair &p) {
      const auto total = leptons[p.first].p + leptons[p.second].p;
      return z1 == Z1Convention::heavier ? detail::mass(total) : detail::pt(total);
   };
   if (z1 != Z1Convention::leading && size(two) > size(one)) std::swap(one, two);
   return {one.first, one.second, two.first, two.second, true};
}

/// An event with its leptons paired and its two leading jets; what several observables share is computed once.
class FourLeptonEvent {
 public:
   FourLeptonEvent(const Momentum &a1, const Momentum &b1, const Momentum &a2, const Momentum &b2, const std::vector<Momentum> &jets = {},
                   Recoil beam_axis = Recoil::none)
       : leptons{a1, b1, a2, b2}, n_jets(jets.size()), z1(a1 + b1), z2(a2 + b2), x(z1 + z2), recoil(beam_axis)
   {
      const double none = detail::nan();
      j1 = j2 = {none, none, none, none};
      std::vector<Momentum> sorted(jets);
      const auto square = [](const Momentum &p) { return p.px * p.px + p.py * p.py; };
      std::stable_sort(sorted.begin(), sorted.end(), [&](const Momentum &p, const Momentum &q) { return square(p) > square(q); });
      if (!sorted.empty()) j1 = sorted[0];
      if (sorted.size() > 1) j2 = sorted[1];
      for (std::size_t i = 0; i < 4; ++i) pts[i] = detail::pt(leptons[i]);
      std::sort(pts.begin(), pts.end(), [](double p, double q) { return p > q; });
      decay();
      if (sorted.size() > 1)
         production();
      else
         vbf.fill(none);
   }

   std::array<Momentum, 4> leptons;  ///< negative and positive lepton of Z1, then of Z2
   std::size_t n_jets;
   Momentum z1, z2, x, j1, j2;
   Recoil recoil;
   std::array<double, 4> pts{};     ///< of the leptons, hardest first
   std::array<double, 5> angles{};  ///< cos_theta_star, cos_theta_1, cos_theta_2, phi, phi_1
   std::array<double, 7> vbf{};     ///< the same five of the production, q2_v1, q2_v2

 private:
   void decay()
   {
      using namespace detail;
      const double m_x = mass(x), m_1 = mass(z1), m_2 = mass(z2);
      Momentum a1 = leptons[0], a2 = leptons[2], one = z1, whole = x;
      if (recoil == Recoil::transverse)
         for (Momentum *p : {&a1, &a2, &one, &whole}) *p = detail::transverse(*p, x);
      const Momentum a = to_rest(a1, whole, m_x), b = to_rest(a2, whole, m_x), q = to_rest(one, whole, m_x);
      const Momentum normal_1 = cross(a, q), normal_2 = cross(b, q);
      const double square_1 = dot(normal_1, normal_1), square_2 = dot(normal_2, normal_2), flat = q.px * q.px + q.py * q.py;
      const double square_q = flat + q.pz * q.pz, flight = std::sqrt(square_q);
      const double tolerance = plane_tolerance * plane_tolerance * square_q;
      const bool plane_1 = square_1 > tolerance * dot(a, a), plane_2 = square_2 > tolerance * dot(b, b);
      angles[0] = q.pz / flight;
      angles[1] = decay_cosine(dot(a, q), square_1, a.e * square_q, q.e, m_1);
      angles[2] = decay_cosine(-dot(b, q), square_2, b.e * square_q, m_x - q.e, m_2);
      angles[3] = plane_angle(-flight * dot(a, normal_2), dot(normal_1, normal_2), plane_1 && plane_2);
      angles[4] = plane_angle(flight * (a.py * q.px - a.px * q.py), normal_1.py * q.px - normal_1.px * q.py, plane_1 && flat > tolerance);
   }

   static double decay_cosine(double along, double across, double energy, double energy_z, double mass_z)
   {
      const double boosted = energy_z * along - energy;
      return mass_z == 0.0 ? detail::nan() : boosted / std::sqrt(boosted * boosted + mass_z * mass_z * across);
   }

   void production()
   {
      using namespace detail;
      const Momentum total = j1 + j2;
      const double squared = mass_squared(total), product = j1.e * total.e - dot(j1, total);
      const Momentum axis = j1 - (product / squared) * total;
      const Momentum half = (0.5 * std::sqrt(squared / -mass_squared(axis))) * axis;
      Momentum one = 0.5 * total + half, two = 0.5 * total - half;  // the jets made massless
      if (!(one.pz >= two.pz)) std::swap(one, two);
      const Momentum all = x + one + two, flat = transverse(all, all);
      const double plus = 0.5 * (flat.e + flat.pz), minus = 0.5 * (flat.e - flat.pz), m = mass(x);
      Momentum p1 = transverse({0.0, 0.0, plus, plus}, all, 1.0), p2 = transverse({0.0, 0.0, -minus, minus}, all, 1.0), z = z2;
      for (Momentum *p : {&z, &one, &two, &p1, &p2}) *p = to_rest(*p, x, m);
      const Momentum v1 = one - p1, v2 = two - p2, m1 = cross(p1, one), m2 = cross(p2, two), m3 = cross(z, v1);
      const double size = std::sqrt(dot(v1, v1)), limit = plane_tolerance * plane_tolerance;
      const bool plane_1 = dot(m1, m1) > limit * dot(p1, p1) * dot(one, one), plane_2 = dot(m2, m2) > limit * dot(p2, p2) * dot(two, two);
      const bool plane_3 = dot(m3, m3) > limit * dot(z, z) * dot(v1, v1);
      vbf = {cosine(v1, z),
             cosine(v1, one),
             cosine(v2, two),
             plane_angle(dot(cross(m1, m2), v1) / size, -dot(m1, m2), plane_1 && plane_2),
             plane_angle(dot(cross(m1, m3), v1) / size, dot(m1, m3), plane_1 && plane_3),
             -mass_squared(v1),
             -mass_squared(v2)};
   }
};

#if __has_include("h4l/matrix_element_tables.h")
/// Ratios of matrix elements at the momenta of the leptons.
inline MatrixElementRatios matrix_elements(const FourLeptonEvent &event)
{
   const auto &l = event.leptons;
   return matrix_element_ratios(l[0], l[1], l[2], l[3], event.recoil);
}
#endif

/// f_1 ... f_9, the functions of production and decay of Z1 of which the squared amplitude is a sum.
inline std::array<double, 9> angular_functions(const FourLeptonEvent &event)
{
   const double production = event.angles[0], decay = event.angles[1], phi = event.angles[4];
   const double square_1 = 1.0 - production * production, square_2 = 1.0 - decay * decay, square = square_1 * square_2;
   const double sines = std::sqrt(square), cosines = production * decay, along = std::cos(phi) * sines, across = std::sin(phi) * sines;
   return {square,
           cosines,
           (2.0 - square_1) * (2.0 - square_2),
           along,
           along * cosines,
           across,
           across * cosines,
           std::cos(2.0 * phi) * square,
           std::sin(2.0 * phi) * square};
}

/// Computes the observables of a list of columns.
class Observables {
 public:
   /// names: in the order wanted; NAME_filled is the observable NAME with its fill value where an event lacks it, has_NAME 1 or 0.
   /// fills: fill value by name, as in the config of the analysis.
   /// Throws MismatchError for a name that is no observable of leptons and jets, or one filled without a value.
   explicit Observables(const std::vector<std::string> &names, std::map<std::string, double> fills = {},
                        Z1Convention z1 = Z1Convention::leading, Recoil recoil = Recoil::none, double m_z = 91.1876)
       : z1_(z1), recoil_(recoil), m_z_(m_z)
   {
      for (const auto &name : names) steps_.push_back(step(name, fills));
   }

   /// Pairs the leptons and computes one row; empty where there are no four leptons of two pairs.
   std::vector<double> operator()(const std::vector<Lepton> &leptons, const std::vector<Momentum> &jets) const
   {
      const auto q = pair_leptons(leptons, z1_, m_z_);
      if (!q.found) return {};
      return (*this)(FourLeptonEvent(leptons[q.a1].p, leptons[q.b1].p, leptons[q.a2].p, leptons[q.b2].p, jets, recoil_));
   }

   /// Computes one row of an event whose leptons are paired.
   std::vector<double> operator()(const FourLeptonEvent &event) const
   {
      std::vector<double> row;
      row.reserve(steps_.size());
      for (const auto &s : steps_) {
         const double value = s.function(event);
         row.push_back(s.kind == Kind::plain ? value : s.kind == Kind::filled ? (std::isnan(value) ? s.fill : value) : (std::isnan(value) ? 0.0 : 1.0));
      }
      return row;
   }

   std::size_t size() const { return steps_.size(); }

 private:
   using Event = FourLeptonEvent;
   using Function = double (*)(const Event &);
   enum class Kind { plain, filled, present };
   struct Step {
      Function function;
      Kind kind;
      double fill;
   };

   static Step step(const std::string &name, const std::map<std::string, double> &fills)
   {
      const auto &known = functions();
      const auto plain = known.find(name);
      if (plain != known.end()) return {plain->second, Kind::plain, 0.0};
      const std::string suffix = "_filled", prefix = "has_";
      const bool filled = name.size() > suffix.size() && name.compare(name.size() - suffix.size(), suffix.size(), suffix) == 0;
      const bool present = name.compare(0, prefix.size(), prefix) == 0;
      const std::string source = filled ? name.substr(0, name.size() - suffix.size()) : present ? name.substr(prefix.size()) : "";
      const auto found = known.find(source);
      if (found == known.end()) throw MismatchError(name + " is no observable of leptons and jets; give it as a number of your own");
      if (present) return {found->second, Kind::present, 0.0};
      const auto fill = fills.find(source);
      if (fill == fills.end()) throw MismatchError(name + " without the fill value of " + source);
      return {found->second, Kind::filled, fill->second};
   }

   static const std::map<std::string, Function> &functions()
   {
      using namespace detail;
      static const std::map<std::string, Function> table = {
          {"m4l", [](const Event &v) { return mass(v.x); }},
          {"m_z1", [](const Event &v) { return mass(v.z1); }},
          {"m_z2", [](const Event &v) { return mass(v.z2); }},
          {"cos_theta_star", [](const Event &v) { return v.angles[0]; }},
          {"cos_theta_1", [](const Event &v) { return v.angles[1]; }},
          {"cos_theta_2", [](const Event &v) { return v.angles[2]; }},
          {"phi", [](const Event &v) { return v.angles[3]; }},
          {"phi_1", [](const Event &v) { return v.angles[4]; }},
          {"pt4l", [](const Event &v) { return pt(v.x); }},
          {"y4l", [](const Event &v) { return std::atanh(v.x.pz / v.x.e); }},
          {"pt_l1", [](const Event &v) { return v.pts[0]; }},
          {"pt_l2", [](const Event &v) { return v.pts[1]; }},
          {"pt_l3", [](const Event &v) { return v.pts[2]; }},
          {"pt_l4", [](const Event &v) { return v.pts[3]; }},
          {"pt_z1_lep1", [](const Event &v) { return pt(v.leptons[0]); }},
          {"eta_z1_lep1", [](const Event &v) { return eta(v.leptons[0]); }},
          {"pt_z1_lep2", [](const Event &v) { return pt(v.leptons[1]); }},
          {"eta_z1_lep2", [](const Event &v) { return eta(v.leptons[1]); }},
          {"pt_z2_lep1", [](const Event &v) { return pt(v.leptons[2]); }},
          {"eta_z2_lep1", [](const Event &v) { return eta(v.leptons[2]); }},
          {"pt_z2_lep2", [](const Event &v) { return pt(v.leptons[3]); }},
          {"eta_z2_lep2", [](const Event &v) { return eta(v.leptons[3]); }},
          {"n_jets", [](const Event &v) { return static_cast<double>(v.n_jets); }},
          {"m_jj", [](const Event &v) { return mass(v.j1 + v.j2); }},
          {"delta_eta_jj", [](const Event &v) { return std::abs(eta(v.j1) - eta(v.j2)); }},
          {"delta_phi_jj", [](const Event &v) { return wrapped(azimuth(v.j1) - azimuth(v.j2)); }},
          {"zeppenfeld_zz", [](const Event &v) { return std::abs(eta(v.x) - 0.5 * (eta(v.j1) + eta(v.j2))); }},
          {"pt_j1", [](const Event &v) { return pt(v.j1); }},
          {"pt_j2", [](const Event &v) { return pt(v.j2); }},
          {"eta_j1", [](const Event &v) { return eta(v.j1); }},
          {"eta_j2", [](const Event &v) { return eta(v.j2); }},
          {"pt4ljj", [](const Event &v) { return pt(v.x + v.j1 + v.j2); }},
          {"m4lj", [](const Event &v) { return mass(v.x + v.j1); }},
          {"delta_r_4l_j",
           [](const Event &v) {
              const double d_eta = eta(v.x) - eta(v.j1), d_phi = wrapped(azimuth(v.x) - azimuth(v.j1));
              return std::sqrt(d_eta * d_eta + d_phi * d_phi);
           }},
          {"vbf_cos_theta_star", [](const Event &v) { return v.vbf[0]; }},
          {"vbf_cos_theta_1", [](const Event &v) { return v.vbf[1]; }},
          {"vbf_cos_theta_2", [](const Event &v) { return v.vbf[2]; }},
          {"vbf_phi", [](const Event &v) { return v.vbf[3]; }},
          {"vbf_phi_1", [](const Event &v) { return v.vbf[4]; }},
          {"q2_v1", [](const Event &v) { return v.vbf[5]; }},
          {"q2_v2", [](const Event &v) { return v.vbf[6]; }},
          {"f_1", [](const Event &v) { return angular_functions(v)[0]; }},
          {"f_2", [](const Event &v) { return angular_functions(v)[1]; }},
          {"f_3", [](const Event &v) { return angular_functions(v)[2]; }},
          {"f_4", [](const Event &v) { return angular_functions(v)[3]; }},
          {"f_5", [](const Event &v) { return angular_functions(v)[4]; }},
          {"f_6", [](const Event &v) { return angular_functions(v)[5]; }},
          {"f_7", [](const Event &v) { return angular_functions(v)[6]; }},
          {"f_8", [](const Event &v) { return angular_functions(v)[7]; }},
          {"f_9", [](const Event &v) { return angular_functions(v)[8]; }},
#if __has_include("h4l/matrix_element_tables.h")
          {"d_me", [](const Event &v) { return h4l::d_me(v.leptons[0], v.leptons[1], v.leptons[2], v.leptons[3], v.recoil); }},
          {"me_gg", [](const Event &v) { return std::log(matrix_elements(v).gluons); }},
          {"me_box", [](const Event &v) { return std::log(matrix_elements(v).box); }},
          {"me_qq", [](const Event &v) { return std::log(matrix_elements(v).annihilation); }},
#endif
      };
      return table;
   }

   Z1Convention z1_;
   Recoil recoil_;
   double m_z_;
   std::vector<Step> steps_;
};

}  // namespace h4l

#endif
