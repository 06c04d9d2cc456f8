// Reads events from stdin and writes their observables: names and fills first, then per event leptons (id px py pz E) and jets (px py pz E).
#include <cstdio>
#include <iostream>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "h4l/observables.h"

int main(int argc, char **argv)
{
   const bool transverse = argc > 1 && std::string(argv[1]) == "transverse";
   std::size_t n_names = 0, n_fills = 0, n_events = 0;
   std::cin >> n_names >> n_fills >> n_events;
   std::vector<std::string> names(n_names);
   std::map<std::string, double> fills;
   for (auto &name : names) std::cin >> name;
   for (std::size_t i = 0; i < n_fills; ++i) {
      std::string name;
      std::cin >> name >> fills[name];
   }
   std::vector<std::vector<h4l::Lepton>> leptons(n_events);
   std::vector<std::vector<h4l::Momentum>> jets(n_events);
   for (std::size_t i = 0; i < n_events; ++i) {
      std::size_t n_leptons = 0, n_jets = 0;
      std::cin >> n_leptons >> n_jets;
      leptons[i].resize(n_leptons);
      jets[i].resize(n_jets);
      for (auto &l : leptons[i]) std::cin >> l.pdg_id >> l.p.px >> l.p.py >> l.p.pz >> l.p.e;
      for (auto &j : jets[i]) std::cin >> j.px >> j.py >> j.pz >> j.e;
   }
   try {
      const h4l::Observables observables(names, fills, h4l::Z1Convention::leading, transverse ? h4l::Recoil::transverse : h4l::Recoil::none);
      std::vector<std::vector<double>> rows(n_events);
      const auto work = [&](std::size_t first) {
         for (std::size_t i = first; i < n_events; i += 2) rows[i] = observables(leptons[i], jets[i]);
      };
      std::thread other(work, 1);
      work(0);
      other.join();
      for (const auto &row : rows) {
         if (row.empty()) std::printf("none");
         for (const double value : row) std::printf("%.17g ", value);
         std::printf("\n");
      }
   } catch (const h4l::Error &error) {
      std::cerr << error.what() << "\n";
      return 2;
   }
   return 0;
}
