#ifndef FOURLEPTONRATIOS_IFOURLEPTONRATIOTOOL_H
#define FOURLEPTONRATIOS_IFOURLEPTONRATIOTOOL_H

#include <string>
#include <vector>

#include "AsgTools/IAsgTool.h"
#include "xAODEgamma/Electron.h"
#include "xAODJet/Jet.h"
#include "xAODMuon/Muon.h"

/// Log ratios of an event from its selected leptons and jets.
class IFourLeptonRatioTool : public virtual asg::IAsgTool {
   ASG_TOOL_INTERFACE(IFourLeptonRatioTool)

 public:
   /// Fills one number per density in the order of names(); empty where the leptons make no two pairs.
   virtual StatusCode evaluate(const std::vector<const xAOD::Electron *> &electrons, const std::vector<const xAOD::Muon *> &muons,
                               const std::vector<const xAOD::Jet *> &jets, std::vector<float> &log_ratio) const = 0;

   /// Densities that are on top of the ratios.
   virtual const std::vector<std::string> &names() const = 0;
};

#endif
