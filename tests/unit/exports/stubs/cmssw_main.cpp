#include <cmath>
#include <cstdio>

#include "FourLeptonRatioProducer.cc"
#include "fake_model.h"

namespace {

std::vector<float> produced(FourLeptonRatioProducer &producer, std::vector<reco::Candidate> leptons, std::vector<reco::Candidate> jets)
{
   edm::Event event;
   event.inputs["l"] = std::move(leptons);
   event.inputs["j"] = std::move(jets);
   producer.produce(event, edm::EventSetup());
   return std::any_cast<std::vector<float>>(event.output);
}

}  // namespace

int main()
{
   edm::ParameterSet config;
   config.values = {{"leptons", edm::InputTag("l")}, {"jets", edm::InputTag("j")}, {"model", edm::FileInPath{"model.onnx"}}};
   edm::ConfigurationDescriptions descriptions;
   FourLeptonRatioProducer::fillDescriptions(descriptions);
   for (const auto &name : descriptions.names) config.values.at(name);
   const auto cache = FourLeptonRatioProducer::initializeGlobalCache(config);
   FourLeptonRatioProducer producer(config, cache.get());
   producer.set(cache.get());
   const std::vector<reco::Candidate> four = {{40, 0, 0, 40, 13}, {-40, 0, 0, 40, -13}, {0, 30, 0, 30, 11}, {0, -30, 0, 30, -11}};
   const std::vector<reco::Candidate> three(four.begin(), four.end() - 1), jet = {{0, 0, 50, 50, 0}};
   const auto found = produced(producer, four, jet);
   bool good = found.size() == 1 && std::abs(found[0] - 1140.5f) < 1e-3f && produced(producer, three, jet).empty();
   config.values["model"] = edm::FileInPath{"absent.onnx"};
   try {
      FourLeptonRatioProducer::initializeGlobalCache(config);
      good = false;
   } catch (const cms::Exception &error) {
      std::puts(error.what());
   }
   FourLeptonRatioProducer::globalEndJob(cache.get());
   return good ? 0 : 1;
}
