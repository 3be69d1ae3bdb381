#ifndef BASIN_TESTS_CORE_MODEL_FAMILY_FIXTURE_H_
#define BASIN_TESTS_CORE_MODEL_FAMILY_FIXTURE_H_

// Models of any family in a folder of their own, and their energies in double
// by the reference evaluator.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <absl/status/statusor.h>

#include "core/model/energy_model.h"
#include "core/model/families.h"
#include "tests/testing/temp_dir.h"

namespace basin::testing {

// Builds a .safetensors file:
//   SafetensorsBuilder().Floats("W", {2, 3}, values).Build()
// Not thread-safe.
class SafetensorsBuilder {
 public:
  SafetensorsBuilder& Floats(const std::string& name,
                             const std::vector<int64_t>& shape,
                             const std::vector<float>& values);
  // Elements as they lie in the file.
  SafetensorsBuilder& Raw(const std::string& name, const std::string& dtype,
                          const std::vector<int64_t>& shape,
                          const std::string& bytes);
  std::string Build() const;

 private:
  std::string header_;
  std::string data_;
};

// `header` with its length before it, then `data`.
std::string SafetensorsBytes(const std::string& header,
                             const std::string& data);

// Numbers in [-1, 1), always the same for a seed.
std::vector<float> RandomFloats(size_t count, int seed);

// All of {0, 1}^bits, [2^bits, bits].
std::vector<float> AllBinaryStates(int bits);

// A repository with models; what is not ONNX may be empty.
class ModelFolder {
 public:
  void Write(const std::string& name, const std::string& config,
             const std::string& safetensors = "",
             const std::string& onnx = "") const;
  absl::StatusOr<internal::OpenedModel> Open(const std::string& name) const;
  // In tiles of up to 16 rows, or with 0 as a server chooses them.
  absl::StatusOr<std::shared_ptr<const EnergyModel>> Load(
      const std::string& name, int max_tile_rows = 16) const;
  const std::string& path() const { return folder_.path(); }

 private:
  TempDir folder_;
};

// The CPU backend of all tests of this folder.
const Backend& FamilyBackend();

// Energies of states [n, D] in double. Ends the process on errors.
std::vector<double> ReferenceEnergies(const internal::OpenedModel& model,
                                      const std::vector<float>& states);

// log(sum(exp(-energy))).
double LogZ(const std::vector<double>& energies);

// Expects the gradient, in double, to be that of central differences at states
// [n, D].
void ExpectGradientMatches(const internal::OpenedModel& model,
                           const std::vector<float>& states);

// Expects each conditional law to be what energies of the state say when one
// variable changes, at states [n, D], and variables of a block not to matter
// for each other.
void ExpectConditionalsMatch(const internal::OpenedModel& model,
                             const std::vector<float>& states);

}  // namespace basin::testing

#endif  // BASIN_TESTS_CORE_MODEL_FAMILY_FIXTURE_H_
