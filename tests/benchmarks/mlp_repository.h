#ifndef BASIN_TESTS_BENCHMARKS_MLP_REPOSITORY_H_
#define BASIN_TESTS_BENCHMARKS_MLP_REPOSITORY_H_

#include <cstdint>
#include <string>

namespace basin::benchmarks {

// The model of the measurements: E(x) = w3 silu(W2 silu(W1 x + b1) + b2), of
// sizes 784-512-512-1, seeded weights.
inline constexpr char kMlpName[] = "mlp";
inline constexpr int64_t kMlpInput = 784;
inline constexpr int64_t kMlpHidden = 512;

// Writes a model repository that holds it into `folder`.
void WriteMlpRepository(const std::string& folder);

}  // namespace basin::benchmarks

#endif  // BASIN_TESTS_BENCHMARKS_MLP_REPOSITORY_H_
