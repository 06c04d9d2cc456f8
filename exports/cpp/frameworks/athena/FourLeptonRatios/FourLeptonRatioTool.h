#ifndef FOURLEPTONRATIOS_FOURLEPTONRATIOTOOL_H
#define FOURLEPTONRATIOS_FOURLEPTONRATIOTOOL_H

#include <memory>
#include <string>
#include <vector>

#include "AsgTools/AsgTool.h"
#include "AsgTools/PropertyWrapper.h"
#include "FourLeptonRatios/IFourLeptonRatioTool.h"

#include "h4l/model.h"
#include "h4l/observables.h"

/// Evaluates one model; const after initialize, so that threads share the tool.
class FourLeptonRatioTool : public asg::AsgTool, public virtual IFourLeptonRatioTool {
   ASG_TOOL_CLASS(FourLeptonRatioTool, IFourLeptonRatioTool)

 public:
   explicit FourLeptonRatioTool(const std::string &name);

   StatusCode initialize() override;
   StatusCode evaluate(const std::vector<const xAOD::Electron *> &electrons, const std::vector<const xAOD::Muon *> &muons,
                       const std::vector<const xAOD::Jet *> &jets, std::vector<float> &log_ratio) const override;
   const std::vector<std::string> &names() const override;

 private:
   Gaudi::Property<std::string> m_file{this, "ModelFile", "", "ONNX file of h4l export; the fused one where there is one"};
   std::unique_ptr<const h4l::Model> m_model;              //!
   std::unique_ptr<const h4l::Observables> m_observables;  //!
};

#endif
