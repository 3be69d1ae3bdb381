#include "tests/integration/feature_models.h"

#include <cmath>
#include <filesystem>

#include <gtest/gtest.h>

#include "tests/testing/model_files.h"

namespace basin::testing {
namespace {

void WriteConfig(const std::string& folder, const std::string& name,
                 const std::string& config) {
  std::filesystem::create_directories(folder + "/" + name + "/1");
  WriteFile(folder + "/" + name + "/config.pbtxt", config);
}

constexpr char kReplay[] =
    " replay { capacity: 8 write_policy: IN_PLACE "
    "read_policy: WITHOUT_REPLACEMENT restart_probability: 0 }";

}  // namespace

void WriteFeatureModels(const std::string& folder) {
  std::filesystem::copy(BASIN_SOURCE_DIR "/tests/data/models", folder,
                        std::filesystem::copy_options::recursive);
  WriteConfig(folder, "wide",
              "family: MIXTURE mixture { component { weight: 1 mean: [0.3] "
              "covariance: 1.5 } }");
  WriteConfig(folder, "narrow",
              "family: MIXTURE mixture { component { weight: 1 "
              "mean: [0, 0, 0, 0] covariance: [0.01, 0, 0, 0,  0, 1, 0, 0,  "
              "0, 0, 1, 0,  0, 0, 0, 100] } }");
  WriteConfig(folder, "joint",
              "family: MIXTURE mixture { component { weight: 1 mean: [0, 0] "
              "covariance: [1, 0.8, 0.8, 1] } }");
  WriteConfig(folder, "far",
              "family: MIXTURE mixture { "
              "component { weight: 1 mean: [-6] covariance: 1 } "
              "component { weight: 3 mean: [6] covariance: 1 } }");
  WriteConfig(folder, "tagged",
              std::string("family: MIXTURE mixture { component { weight: 1 "
                          "mean: [0, 0] covariance: 1 } }") +
                  kReplay);
  WriteConfig(folder, "spins",
              std::string("family: LATTICE lattice { size: [3, 3] "
                          "coupling: 0.3 }") +
                  kReplay);
  WriteConfig(folder, "grid",
              std::string("family: LATTICE lattice { size: [8, 8] "
                          "coupling: 0.3 }") +
                  kReplay);
}

v1::SampleRequest FeatureRequest(const std::string& model, int64_t chains,
                                 int64_t steps) {
  v1::SampleRequest request;
  request.mutable_model()->set_name(model);
  request.set_chains(chains);
  request.set_steps(steps);
  request.set_seed(5);
  request.mutable_noise();
  return request;
}

std::vector<float> Column(const std::vector<float>& values, size_t width,
                          size_t i) {
  std::vector<float> column;
  for (size_t at = i; at < values.size(); at += width) {
    column.push_back(values[at]);
  }
  return column;
}

void ExpectMean(const std::vector<float>& values, double want, double stddev) {
  double sum = 0;
  for (const float value : values) sum += value;
  const auto n = static_cast<double>(values.size());
  EXPECT_NEAR(sum / n, want, 5 * stddev / std::sqrt(n));
}

void ExpectVariance(const std::vector<float>& values, double mean,
                    double want) {
  double sum = 0;
  for (const float value : values) sum += (value - mean) * (value - mean);
  const auto n = static_cast<double>(values.size());
  EXPECT_NEAR(sum / n, want, 5 * want * std::sqrt(2 / n));
}

}  // namespace basin::testing
