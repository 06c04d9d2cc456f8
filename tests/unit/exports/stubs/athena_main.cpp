#include <cmath>

#include "FourLeptonRatioTool.cxx"
#include "FourLeptonRatios/FourLeptonRatiosDict.h"
#include "fake_model.h"

int main()
{
   xAOD::Muon plus{{{{-40e3, 0, 0, 40e3}}, 1.0}}, minus{{{{40e3, 0, 0, 40e3}}, -1.0}};
   xAOD::Electron negative{{{{0, 30e3, 0, 30e3}}, -1.0}}, positive{{{{0, -30e3, 0, 30e3}}, 1.0}};
   xAOD::Jet jet{{{{0, 0, 50e3, 50e3}}, 0.0}};
   FourLeptonRatioTool tool("tool"), empty("empty"), absent("absent");
   tool.property = "model.onnx";
   absent.property = "absent.onnx";
   bool good = tool.initialize().isSuccess() && !empty.initialize().isSuccess() && !absent.initialize().isSuccess() && tool.names().at(0) == "S";
   const IFourLeptonRatioTool &shared = tool;
   std::vector<float> found;
   good = good && shared.evaluate({&negative, &positive}, {&plus, &minus}, {&jet}, found).isSuccess();
   good = good && found.size() == 1 && std::abs(found[0] - 1140.5f) < 1e-3f;
   good = good && shared.evaluate({&negative}, {&plus, &minus}, {}, found).isSuccess() && found.empty();
   good = good && shared.evaluate({&positive, &positive}, {&plus, &plus}, {}, found).isSuccess() && found.empty();  // no pair of opposite charges
   const double nan = std::nan("");
   xAOD::Electron broken{{{{nan, 0, 0, 30e3}}, -1.0}};
   good = good && shared.evaluate({&broken, &positive}, {&plus, &minus}, {}, found).isSuccess() && found.empty();
   return good ? 0 : 1;
}
