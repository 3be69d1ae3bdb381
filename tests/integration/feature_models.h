#ifndef BASIN_TESTS_INTEGRATION_FEATURE_MODELS_H_
#define BASIN_TESTS_INTEGRATION_FEATURE_MODELS_H_

// Models with known laws, and checks of samples against them.

#include <cstdint>
#include <string>
#include <vector>

#include "tests/integration/requests.h"
#include "tests/integration/server_process.h"

namespace basin::testing {

// Writes a repository: the models of tests/data/models, and
//   wide     N(0.3, 1.5), near gauss_a = N(0, 1)
//   narrow   four independent normals of means 0 and standard deviations
//            .1, 1, 1, 10
//   joint    N(0, [[1, .8], [.8, 1]])
//   far      N(-6, 1) / 4 + N(6, 1) * 3 / 4
//   tagged   N(0, 1) in two dimensions, spins: 3 x 3 Ising spins, K = .3,
//            grid: 8 x 8 of them; all with replay buffers of 8 states that are
//            read without replacement and written in place.
void WriteFeatureModels(const std::string& folder);

// `chains` chains of `model` from noise with seed 5.
v1::SampleRequest FeatureRequest(const std::string& model, int64_t chains,
                                 int64_t steps);

// Column i of rows of `width` values.
std::vector<float> Column(const std::vector<float>& values, size_t width,
                          size_t i);

// |mean - want| < 5 standard errors for independent values of this standard
// deviation.
void ExpectMean(const std::vector<float>& values, double want, double stddev);
// The same for the variance of normal values.
void ExpectVariance(const std::vector<float>& values, double mean, double want);

}  // namespace basin::testing

#endif  // BASIN_TESTS_INTEGRATION_FEATURE_MODELS_H_
