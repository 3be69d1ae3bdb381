#ifndef BASIN_CLIENT_CLI_MODEL_ARGUMENTS_H_
#define BASIN_CLIENT_CLI_MODEL_ARGUMENTS_H_

// What `sample` and `score` are told of the model: its name or a composition,
// and its context.

#include <CLI/CLI.hpp>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <absl/status/statusor.h>

#include "client/cli/command.h"

namespace basin::client {

struct ModelArguments {
  std::string model;  // NAME or a composition
  std::optional<double> temperature;
  std::optional<int64_t> label;
  std::vector<std::string> context;  // "NAME=FILE.npy"
};

// Adds NAME, --temperature, --label and --context.
void AddModelArguments(CLI::App& command, ModelArguments& args);

// Of "NAME", "NAME:VERSION", or a composition of such: "product(a, 0.5*b)",
// "mixture(0.3*a, 0.7*b)", "difference(a, 0.5*b)".
absl::StatusOr<v1::ModelRef> ParseModelOrComposition(
    const ModelArguments& args);

// The name of the model, or of a composition's first term: all have one
// domain.
std::string FirstModel(const v1::ModelRef& ref);

// Reads the files of --context.
absl::StatusOr<std::map<std::string, v1::Tensor>> ReadContext(
    const ModelArguments& args);

// Fills in label and context.
absl::Status FillConditions(const ModelArguments& args,
                            v1::SampleRequest& request);

}  // namespace basin::client

#endif  // BASIN_CLIENT_CLI_MODEL_ARGUMENTS_H_
