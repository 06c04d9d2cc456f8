#include "FourLeptonRatios/FourLeptonRatioTool.h"

#include "PathResolver/PathResolver.h"

#include "h4l/onnxruntime.h"

namespace {

constexpr double GeV = 1e-3;  // the event has MeV, the model GeV

template <class Particle>
h4l::Momentum momentum(const Particle &p)
{
   const auto v = p.p4();
   return {GeV * v.Px(), GeV * v.Py(), GeV * v.Pz(), GeV * v.E()};
}

// The PDG number of a negative lepton is positive.
template <class Particle>
h4l::Lepton lepton(const Particle &p, int number)
{
   return {momentum(p), p.charge() < 0 ? number : -number};
}

}  // namespace

FourLeptonRatioTool::FourLeptonRatioTool(const std::string &name) : asg::AsgTool(name) {}

StatusCode FourLeptonRatioTool::initialize()
{
   const std::string path = PathResolverFindCalibFile(m_file.value());
   if (path.empty()) {
      ATH_MSG_ERROR("no file \"" << m_file.value() << "\": set ModelFile");
      return StatusCode::FAILURE;
   }
   try {
      m_model = std::make_unique<const h4l::Model>(h4l::open_onnxruntime(path));
      std::vector<std::string> columns;
      for (const auto &column : m_model->columns()) columns.push_back(column.name);
      m_observables = std::make_unique<const h4l::Observables>(columns, m_model->fills(), h4l::z1_convention(m_model->z1()));
   } catch (const h4l::Error &error) {
      ATH_MSG_ERROR(error.what());
      return StatusCode::FAILURE;
   }
   return StatusCode::SUCCESS;
}

StatusCode FourLeptonRatioTool::evaluate(const std::vector<const xAOD::Electron *> &electrons, const std::vector<const xAOD::Muon *> &muons,
                                         const std::vector<const xAOD::Jet *> &jets, std::vector<float> &log_ratio) const
{
   std::vector<h4l::Lepton> leptons;
   for (const auto *electron : electrons) leptons.push_back(lepton(*electron, 11));
   for (const auto *muon : muons) leptons.push_back(lepton(*muon, 13));
   std::vector<h4l::Momentum> others;
   for (const auto *jet : jets) others.push_back(momentum(*jet));
   try {
      log_ratio = m_model->evaluate((*m_observables)(leptons, others));  // no row, no result
   } catch (const h4l::Error &error) {
      ATH_MSG_ERROR(error.what());
      return StatusCode::FAILURE;
   }
   return StatusCode::SUCCESS;
}

const std::vector<std::string> &FourLeptonRatioTool::names() const
{
   return m_model->numerators();
}
