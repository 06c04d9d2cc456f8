// As much of CMSSW as the producer of exports/cpp/frameworks uses: an event holds its products by label.
#ifndef STUBS_CMSSW_H
#define STUBS_CMSSW_H

#include <any>
#include <map>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace cms {
struct Exception : std::runtime_error {
   explicit Exception(const std::string &category) : std::runtime_error(category) {}
   Exception(const Exception &) = default;
   template <class T>
   Exception operator<<(const T &value) const
   {
      std::ostringstream text;
      text << what() << ": " << value;
      return Exception(text.str());
   }
};
}  // namespace cms

namespace reco {
class Candidate {
 public:
   Candidate(double px, double py, double pz, double e, int id) : p_{px, py, pz, e}, id_(id) {}
   double px() const { return p_[0]; }
   double py() const { return p_[1]; }
   double pz() const { return p_[2]; }
   double energy() const { return p_[3]; }
   int pdgId() const { return id_; }

 private:
   double p_[4];
   int id_;
};
}  // namespace reco

namespace edm {

template <class T>
using View = std::vector<T>;

struct InputTag {
   InputTag(const char *text) : label(text) {}
   std::string label;
};

struct FileInPath {
   std::string path;
   const std::string &fullPath() const { return path; }
};

class ParameterSet {
 public:
   template <class T>
   T getParameter(const std::string &name) const { return std::any_cast<T>(values.at(name)); }
   std::map<std::string, std::any> values;
};

struct ParameterDescription {
   void setComment(const char *) {}
};

class ParameterSetDescription {
 public:
   template <class T>
   ParameterDescription *add(const std::string &name)
   {
      names.push_back(name);
      return &description_;
   }
   template <class T>
   ParameterDescription *add(const std::string &name, const T &) { return add<T>(name); }
   std::vector<std::string> names;

 private:
   ParameterDescription description_;
};

struct ConfigurationDescriptions {
   void addWithDefaultLabel(const ParameterSetDescription &description) { names = description.names; }
   std::vector<std::string> names;
};

template <class T>
struct EDGetTokenT {
   std::string label;
};

template <class T>
struct EDPutTokenT {};

struct EventSetup {};

class Event {
 public:
   template <class T>
   const T &get(const EDGetTokenT<T> &token) const { return *std::any_cast<T>(&inputs.at(token.label)); }
   template <class T>
   void emplace(const EDPutTokenT<T> &, T value) { output = std::move(value); }
   std::map<std::string, std::any> inputs;
   std::any output;
};

template <class T>
struct GlobalCache {
   using type = T;
};

namespace stream {
template <class Cache>
class EDProducer {
 public:
   virtual ~EDProducer() = default;
   virtual void produce(Event &, const EventSetup &) = 0;
   void set(const typename Cache::type *cache) { cache_ = cache; }

 protected:
   const typename Cache::type *globalCache() const { return cache_; }
   template <class T>
   EDGetTokenT<T> consumes(const InputTag &tag) { return {tag.label}; }
   template <class T>
   EDPutTokenT<T> produces() { return {}; }

 private:
   const typename Cache::type *cache_ = nullptr;
};
}  // namespace stream

}  // namespace edm

#define DEFINE_FWK_MODULE(type) static_assert(sizeof(type) > 0, "a complete module")

#endif
