#ifndef BASIN_CLIENT_CLI_ENSEMBLE_ARGUMENTS_H_
#define BASIN_CLIENT_CLI_ENSEMBLE_ARGUMENTS_H_

// What `sample` is told of adaptation, conditioning, temperatures and of when
// to stop. Shapes of files are checked here; all else is the server's.

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <absl/status/status.h>

#include "client/cli/command.h"

#include "basin/v1/sampler.pb.h"

namespace basin::client {

struct EnsembleArguments {
  std::optional<bool> adapt;
  std::optional<bool> adapt_metric;
  std::optional<double> target_acceptance;
  std::string metric;  // files are .npy; empty = none

  std::string clamp_mask;
  std::string clamp_values;
  std::optional<double> lower;
  std::optional<double> upper;
  std::string lower_each;
  std::string upper_each;

  std::string tempering;  // "N,LEAST"
  std::vector<double> ladder;
  std::optional<int64_t> swap_every;
  std::optional<bool> tune_ladder;

  int64_t anneal = 0;  // levels
  std::vector<double> schedule;
  std::optional<double> anneal_power;
  std::string weights;
  std::optional<int64_t> islands;
  std::optional<double> resample_below;

  std::optional<double> stop_rhat;
  std::optional<double> stop_ess;
};

// Adds the options, under the headings "Adaptation", "Conditioning" and
// "Temperatures", and --stop_rhat and --stop_ess under "Length".
void AddEnsembleArguments(CLI::App& command, EnsembleArguments& args);

// Reads the files and fills in adapt, metric, clamp, box, tempering, annealing
// and stop_when.
absl::Status FillEnsemble(const v1::Model& model, const EnsembleArguments& args,
                          v1::SampleRequest& request);

// Of "none", "importance" and "population". REQUIRES: one of these.
v1::SampleRequest::Annealing::Weights ParseWeights(const std::string& name);

}  // namespace basin::client

#endif  // BASIN_CLIENT_CLI_ENSEMBLE_ARGUMENTS_H_
