// Build a RooWorkspace: functions for a macro that `h4l export-roofit` writes.
//
// A binned channel is a RooRealSumPdf of HistFactory's classes in bins of width 1, an unbinned one a density of the ratios of each event that is
// normalised as it is (RooWrapperPdf), extended by the expected events. Observables of an unbinned channel are the columns of its events.

#include <RooCategory.h>
#include <RooDataHist.h>
#include <RooDataSet.h>
#include <RooExtendPdf.h>
#include <RooFormulaVar.h>
#include <RooGaussian.h>
#include <RooHistFunc.h>
#include <RooMsgService.h>
#include <RooNumIntConfig.h>
#include <RooPoisson.h>
#include <RooProdPdf.h>
#include <RooProduct.h>
#include <RooRealSumPdf.h>
#include <RooRealVar.h>
#include <RooSimultaneous.h>
#include <RooStats/HistFactory/FlexibleInterpVar.h>
#include <RooStats/HistFactory/ParamHistFunc.h>
#include <RooStats/HistFactory/PiecewiseInterpolation.h>
#include <RooStats/ModelConfig.h>
#include <RooWorkspace.h>
#include <RooWrapperPdf.h>
#include <TFile.h>
#include <TTree.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace h4l {

using List = std::vector<std::string>;
using Numbers = std::vector<double>;

class Model {
public:
   Model(const std::string &name, const std::string &events) : w(name.c_str()), file(TFile::Open(events.c_str()))
   {
      if (!file || file->IsZombie())
         throw std::runtime_error("cannot read " + events);
      RooMsgService::instance().setGlobalKillBelow(RooFit::WARNING);
   }

   void parameter(const std::string &name, double start, double low, double high, bool constant = false)
   {
      RooRealVar v(name.c_str(), "", start, low, high);
      v.setConstant(constant);
      add(v);
      parameters.push_back(name);
   }

   void constant(const std::string &name, double value)
   {
      RooRealVar v(name.c_str(), "", value);
      v.setConstant(true);
      add(v);
   }

   // The formula has @0, @1, ... for the arguments.
   void formula(const std::string &name, const std::string &text, const List &arguments)
   {
      RooFormulaVar f(name.c_str(), "", text.c_str(), all(arguments));
      add(f);
   }

   void product(const std::string &name, const List &factors)
   {
      RooProduct f(name.c_str(), "", all(factors));
      add(f);
   }

   // Factors at +1 and -1, interpolated with code 4.
   void norm(const std::string &name, const List &alphas, const Numbers &up, const Numbers &down)
   {
      const std::vector<int> codes(alphas.size(), 4);
      RooStats::HistFactory::FlexibleInterpVar f(name.c_str(), "", all(alphas), 1.0, down, up, codes);
      add(f);
   }

   // One bin of width 1 for each number.
   void observable(const std::string &name, int bins)
   {
      RooRealVar v(name.c_str(), "", 0.0, bins);
      v.setBins(bins);
      add(v);
   }

   void histogram(const std::string &name, const std::string &axis, const Numbers &content)
   {
      RooDataHist data((name + "_content").c_str(), "", RooArgList(variable(axis)));
      for (std::size_t i = 0; i < content.size(); ++i)
         data.set(i, content[i], 0.0);
      RooHistFunc f(name.c_str(), "", RooArgSet(variable(axis)), data, 0);
      add(f);
   }

   // Histograms at +1 and -1, differences interpolated with a polynomial and linear beyond.
   void shape(const std::string &name, const std::string &nominal, const List &up, const List &down, const List &alphas)
   {
      const RooArgList parametersOfShape = all(alphas), low = all(down), high = all(up);
      PiecewiseInterpolation f(name.c_str(), "", *w.function(nominal.c_str()), low, high, parametersOfShape);
      f.setAllInterpCodes(4);
      add(f);
   }

   // One factor for each bin.
   void bins(const std::string &name, const std::string &axis, const List &factors)
   {
      ParamHistFunc f(name.c_str(), "", RooArgList(variable(axis)), all(factors));
      add(f);
   }

   void binnedChannel(const std::string &name, const std::string &axis, const List &shapes, const List &factors, const Numbers &counts)
   {
      RooRealSumPdf pdf((name + "_model").c_str(), "", all(shapes), all(factors), true);
      pdf.setAttribute("BinnedLikelihood");
      add(pdf);
      RooRealVar &x = variable(axis);
      RooRealVar weight(kWeight, "", 1.0);
      auto data = std::make_unique<RooDataSet>(name.c_str(), "", RooArgSet(x, weight), RooFit::WeightVar(weight));
      for (std::size_t i = 0; i < counts.size(); ++i) {
         x.setVal(i + 0.5);
         data->add(RooArgSet(x), counts[i]);
      }
      observed[name] = std::move(data);
      observables.push_back(axis);
      channels.push_back(name);
   }

   void column(const std::string &name)
   {
      RooRealVar v(name.c_str(), "", 0.0);
      v.removeRange();
      v.setConstant(false);
      add(v);
      observables.push_back(name);
   }

   // Events of a tree; `density` is the sum over the processes of expected events times density ratio, `expected` all expected events.
   void unbinnedChannel(const std::string &name, const std::string &density, const std::string &expected, const List &columns)
   {
      formula(name + "_ratio", "@0/@1", {density, expected});
      RooWrapperPdf shape((name + "_density").c_str(), "", *w.function((name + "_ratio").c_str()), true);
      RooExtendPdf pdf((name + "_model").c_str(), "", shape, *w.function(expected.c_str()));
      add(pdf);
      RooRealVar weight(kWeight, "", 1.0);
      RooArgSet all(weight);
      for (const std::string &c : columns)
         all.add(variable(c));
      auto &tree = *file->Get<TTree>(name.c_str());
      observed[name] = std::make_unique<RooDataSet>(name.c_str(), "", all, RooFit::Import(tree), RooFit::WeightVar(weight));
      if (observed[name]->numEntries() != tree.GetEntries())
         throw std::runtime_error("events of channel " + name + " were lost on the way into a RooDataSet");
      channels.push_back(name);
   }

   // Mean of a formula over simulated events: `axis` numbers them, and each column of the tree is a histogram over it. The integral is their sum.
   void mean(const std::string &name, const std::string &tree, const std::string &text, const List &columns, const List &others)
   {
      auto &events = *file->Get<TTree>(tree.c_str());
      const int n = events.GetEntries();
      const std::string axis = name + "_event";
      observable(axis, n);
      List arguments;
      for (const std::string &c : columns) {
         double value = 0.0;
         Numbers content(n);
         events.ResetBranchAddresses();
         events.SetBranchAddress(c.c_str(), &value);
         for (int i = 0; i < n; ++i) {
            events.GetEntry(i);
            content[i] = value;
         }
         events.ResetBranchAddresses();
         arguments.push_back(name + "_" + c);
         histogram(arguments.back(), axis, content);
      }
      arguments.insert(arguments.end(), others.begin(), others.end());
      formula(name + "_term", text, arguments);
      RooNumIntConfig config(*RooAbsReal::defaultIntegratorConfig());
      config.method1D().setLabel("RooBinIntegrator");
      config.getConfigSection("RooBinIntegrator").setRealValue("numBins", n);
      RooAbsReal &term = *w.function((name + "_term").c_str());
      term.setIntegratorConfig(config);
      std::unique_ptr<RooAbsReal> integral(term.createIntegral(variable(axis)));
      integral->SetName(name.c_str());
      add(*integral);
   }

   void gaussian(const std::string &parameter, double observedValue, double width)
   {
      auxiliary(parameter, observedValue);
      constant(parameter + "_width", width);
      RooGaussian pdf((parameter + "_constraint").c_str(), "", variable("nom_" + parameter), variable(parameter), variable(parameter + "_width"));
      add(pdf);
   }

   void poisson(const std::string &parameter, double observedValue, double factor)
   {
      auxiliary(parameter, observedValue);
      constant(parameter + "_tau", factor);
      product(parameter + "_expected", {parameter, parameter + "_tau"});
      RooPoisson pdf((parameter + "_constraint").c_str(), "", variable("nom_" + parameter), *w.function((parameter + "_expected").c_str()), true);
      add(pdf);
   }

   void snapshot(const std::string &name, const Numbers &values)
   {
      set(values);
      w.saveSnapshot(name.c_str(), all(parameters));
   }

   // The product of all channels, their data, the ModelConfig.
   void finish(const List &pois)
   {
      RooCategory channel("channel", "");
      for (const std::string &c : channels)
         channel.defineType(c.c_str());
      RooSimultaneous pdf("model", "", channel);
      std::vector<std::unique_ptr<RooAbsPdf>> products;
      std::map<std::string, RooDataSet *> data;
      RooArgSet globals, columns(channel);
      for (const std::string &p : constrained)
         globals.add(variable("nom_" + p));
      for (const std::string &c : channels) {
         RooAbsPdf &own = *w.pdf((c + "_model").c_str());
         RooArgList factors(own);
         for (const std::string &p : constrained)  // RooFit counts a constraint that several channels name once
            if (c == channels.front() || own.dependsOn(variable(p)))
               factors.add(*w.pdf((p + "_constraint").c_str()));
         products.push_back(std::make_unique<RooProdPdf>((c + "_constrained").c_str(), "", factors));
         pdf.addPdf(*products.back(), c.c_str());
         data[c] = observed[c].get();
      }
      for (const std::string &o : observables)
         columns.add(variable(o));
      w.import(pdf, RooFit::Silence());
      RooRealVar weight(kWeight, "", 1.0);
      RooArgSet weighted(columns);
      weighted.add(weight);
      RooDataSet whole("obsData", "", weighted, RooFit::Index(*w.cat("channel")), RooFit::Import(data), RooFit::WeightVar(weight));
      w.import(whole, RooFit::Silence());
      RooStats::ModelConfig config("ModelConfig", &w);
      config.SetPdf(*w.pdf("model"));
      RooArgSet interest, nuisances;
      for (const std::string &p : parameters)
         (std::find(pois.begin(), pois.end(), p) != pois.end() ? interest : nuisances).add(variable(p));
      config.SetParametersOfInterest(interest);
      config.SetNuisanceParameters(nuisances);
      config.SetGlobalObservables(globals);
      RooArgSet all(*w.cat("channel"));
      for (const std::string &o : observables)
         all.add(variable(o));
      config.SetObservables(all);
      w.import(config);
   }

   // Compare -2 ln L with the numbers of the toolkit at the points of the tree `reference`, both less their value at the first point: the largest
   // relative difference. Changes below 1 are compared as they are.
   double check()
   {
      auto &tree = *file->Get<TTree>("reference");
      auto *config = static_cast<RooStats::ModelConfig *>(w.obj("ModelConfig"));
      std::unique_ptr<RooAbsReal> nll(w.pdf("model")->createNLL(*w.data("obsData"), RooFit::GlobalObservables(*config->GetGlobalObservables())));
      Numbers point(parameters.size());
      double expected = 0.0, first = 0.0, firstExpected = 0.0, worst = 0.0;
      for (std::size_t i = 0; i < point.size(); ++i)
         tree.SetBranchAddress(parameters[i].c_str(), &point[i]);
      tree.SetBranchAddress("twice_nll", &expected);
      for (int k = 0; k < tree.GetEntries(); ++k) {
         tree.GetEntry(k);
         set(point);
         const double found = 2.0 * nll->getVal();
         if (k == 0) {
            first = found;
            firstExpected = expected;
            continue;
         }
         const double change = expected - firstExpected;
         const double difference = std::abs(found - first - change) / std::max(1.0, std::abs(change));
         worst = std::isnan(difference) ? INFINITY : std::max(worst, difference);
      }
      tree.ResetBranchAddresses();
      return worst;
   }

   // Write the workspace if it agrees with the toolkit; 0 if it does.
   int write(const std::string &path)
   {
      const double worst = check();
      w.loadSnapshot("initial");
      std::printf("largest relative difference of -2 ln L: %.2e\n", worst);
      if (!(worst < 1e-9)) {
         std::printf("the workspace differs from the likelihood that it was made from; it is not written\n");
         return 1;
      }
      w.writeToFile(path.c_str());
      return 0;
   }

private:
   static constexpr const char *kWeight = "weight";

   template <class T>
   void add(const T &object)
   {
      if (w.import(object, RooFit::Silence(), RooFit::RecycleConflictNodes()))
         throw std::runtime_error(std::string("cannot import ") + object.GetName());
   }

   RooRealVar &variable(const std::string &name)
   {
      RooRealVar *found = w.var(name.c_str());
      if (!found)
         throw std::runtime_error("no variable " + name);
      return *found;
   }

   RooArgList all(const List &names)
   {
      RooArgList out;
      for (const std::string &name : names) {
         RooAbsArg *found = w.arg(name.c_str());
         if (!found)
            throw std::runtime_error("no object " + name);
         out.add(*found);
      }
      return out;
   }

   void auxiliary(const std::string &parameter, double value)
   {
      constant("nom_" + parameter, value);
      constrained.push_back(parameter);
   }

   void set(const Numbers &values)
   {
      for (std::size_t i = 0; i < parameters.size(); ++i)
         variable(parameters[i]).setVal(values.at(i));
   }

   RooWorkspace w;
   std::unique_ptr<TFile> file;
   List parameters, constrained, channels, observables;
   std::map<std::string, std::unique_ptr<RooDataSet>> observed;
};

} // namespace h4l
