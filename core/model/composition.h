#ifndef BASIN_CORE_MODEL_COMPOSITION_H_
#define BASIN_CORE_MODEL_COMPOSITION_H_

#include <cstdint>
#include <string>
#include <vector>

#include <absl/status/status.h>

namespace basin {

// An energy made of those of other models, which must have one domain:
//
//   kProduct     E(x) = sum_i w_i E_i(x)              product of experts
//   kMixture     E(x) = -logsumexp_i(log w_i - E_i(x))
//   kDifference  E(x) = E_0(x) - lambda E_1(x)        lambda: terms[1].weight
//
// divided by the temperature. Weights of a mixture are taken as they are:
// they belong to the unnormalised densities. Context inputs of the terms are
// united by name.
struct Composition {
  static constexpr int kMaxTerms = 16;

  enum class Kind { kProduct, kMixture, kDifference };
  struct Term {
    std::string name;
    int64_t version = 0;  // 0 = the serving one
    // Finite; kMixture: > 0. kDifference: that of the first term must be 1.
    double weight = 1;
  };

  Kind kind = Kind::kProduct;
  std::vector<Term> terms;  // 1 to kMaxTerms; kDifference: 2
  double temperature = 1;   // finite, > 0
};

// InvalidArgument names the term or field, what was expected and what came.
absl::Status CheckComposition(const Composition& composition);

}  // namespace basin

#endif  // BASIN_CORE_MODEL_COMPOSITION_H_
