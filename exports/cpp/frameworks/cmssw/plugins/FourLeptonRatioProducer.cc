// Puts the log ratios of an event, std::vector<float> in the order of the model's numerators, into the event: empty without two pairs of leptons.
//
// The model is opened once per process (GlobalCache) and shared by all streams: Model::evaluate is const, and the ONNX Runtime takes threads.
#include <memory>
#include <string>
#include <vector>

#include "DataFormats/Candidate/interface/Candidate.h"
#include "DataFormats/Common/interface/View.h"
#include "FWCore/Framework/interface/Event.h"
#include "FWCore/Framework/interface/MakerMacros.h"
#include "FWCore/Framework/interface/stream/EDProducer.h"
#include "FWCore/ParameterSet/interface/ConfigurationDescriptions.h"
#include "FWCore/ParameterSet/interface/FileInPath.h"
#include "FWCore/ParameterSet/interface/ParameterSet.h"
#include "FWCore/ParameterSet/interface/ParameterSetDescription.h"
#include "FWCore/Utilities/interface/Exception.h"

#include "h4l/observables.h"
#include "h4l/onnxruntime.h"

namespace four_lepton_ratios {

/// What all streams read: the model, and the observables in the order of its columns.
struct Cache {
   explicit Cache(const std::string &file)
       : model(h4l::open_onnxruntime(file)), observables(names(model), model.fills(), h4l::z1_convention(model.z1()))
   {
   }

   static std::vector<std::string> names(const h4l::Model &model)
   {
      std::vector<std::string> out;
      for (const auto &column : model.columns()) out.push_back(column.name);
      return out;
   }

   h4l::Model model;
   h4l::Observables observables;
};

}  // namespace four_lepton_ratios

class FourLeptonRatioProducer : public edm::stream::EDProducer<edm::GlobalCache<four_lepton_ratios::Cache>> {
 public:
   FourLeptonRatioProducer(const edm::ParameterSet &config, const four_lepton_ratios::Cache *)
       : leptons_(consumes<edm::View<reco::Candidate>>(config.getParameter<edm::InputTag>("leptons"))),
         jets_(consumes<edm::View<reco::Candidate>>(config.getParameter<edm::InputTag>("jets"))),
         log_ratio_(produces<std::vector<float>>())
   {
   }

   static std::unique_ptr<four_lepton_ratios::Cache> initializeGlobalCache(const edm::ParameterSet &config)
   {
      return guarded([&] { return std::make_unique<four_lepton_ratios::Cache>(config.getParameter<edm::FileInPath>("model").fullPath()); });
   }

   static void globalEndJob(const four_lepton_ratios::Cache *) {}

   static void fillDescriptions(edm::ConfigurationDescriptions &descriptions)
   {
      edm::ParameterSetDescription description;
      description.add<edm::InputTag>("leptons", edm::InputTag("selectedLeptons"))->setComment("electrons and muons that pass the selection of the training");
      description.add<edm::InputTag>("jets", edm::InputTag("selectedJets"))->setComment("jets that pass the selection of the training");
      description.add<edm::FileInPath>("model")->setComment("ONNX file of h4l export; the fused one where there is one");
      descriptions.addWithDefaultLabel(description);
   }

   void produce(edm::Event &event, const edm::EventSetup &) override
   {
      std::vector<h4l::Lepton> leptons;
      for (const auto &l : event.get(leptons_)) leptons.push_back({momentum(l), l.pdgId()});
      std::vector<h4l::Momentum> jets;
      for (const auto &j : event.get(jets_)) jets.push_back(momentum(j));
      const four_lepton_ratios::Cache &cache = *globalCache();
      event.emplace(log_ratio_, guarded([&] { return cache.model.evaluate(cache.observables(leptons, jets)); }));  // no row, no result
   }

 private:
   static h4l::Momentum momentum(const reco::Candidate &p) { return {p.px(), p.py(), p.pz(), p.energy()}; }  // GeV

   // The framework reports its own exceptions with module and event.
   template <class Call>
   static auto guarded(Call call) -> decltype(call())
   {
      try {
         return call();
      } catch (const h4l::Error &error) {
         throw cms::Exception("FourLeptonRatios") << error.what();
      }
   }

   const edm::EDGetTokenT<edm::View<reco::Candidate>> leptons_, jets_;
   const edm::EDPutTokenT<std::vector<float>> log_ratio_;
};

DEFINE_FWK_MODULE(FourLeptonRatioProducer);
