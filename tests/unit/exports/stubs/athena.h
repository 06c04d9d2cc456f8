// As much of Athena as the tool of exports/cpp/frameworks uses.
#ifndef STUBS_ATHENA_H
#define STUBS_ATHENA_H

#include <iostream>
#include <string>
#include <utility>

class StatusCode {
 public:
   enum Value { FAILURE, SUCCESS };
   StatusCode(Value value) : value_(value) {}
   bool isSuccess() const { return value_ == SUCCESS; }

 private:
   Value value_;
};

#define ATH_MSG_ERROR(text) (std::cerr << text << '\n')
#define ASG_TOOL_INTERFACE(name)
#define ASG_TOOL_CLASS(name, interface)

namespace asg {
struct IAsgTool {
   virtual ~IAsgTool() = default;
};
class AsgTool : public virtual IAsgTool {
 public:
   explicit AsgTool(std::string name) : name_(std::move(name)) {}
   virtual StatusCode initialize() { return StatusCode::SUCCESS; }
   std::string property;  ///< what the configuration gives to all properties

 private:
   std::string name_;
};
}  // namespace asg

namespace Gaudi {
template <class T>
class Property {
 public:
   Property(asg::AsgTool *owner, const char *, const T &, const char *) : owner_(owner) {}
   const T &value() const { return owner_->property; }

 private:
   asg::AsgTool *owner_;
};
}  // namespace Gaudi

struct TLorentzVector {
   double Px() const { return p[0]; }
   double Py() const { return p[1]; }
   double Pz() const { return p[2]; }
   double E() const { return p[3]; }
   double p[4];
};

namespace xAOD {
struct Particle {
   TLorentzVector v;
   double q = 0.0;
   TLorentzVector p4() const { return v; }
   double charge() const { return q; }
};
struct Electron : Particle {};
struct Muon : Particle {};
struct Jet : Particle {};
}  // namespace xAOD

inline std::string PathResolverFindCalibFile(const std::string &name) { return name; }

#endif
