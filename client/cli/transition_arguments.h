#ifndef BASIN_CLIENT_CLI_TRANSITION_ARGUMENTS_H_
#define BASIN_CLIENT_CLI_TRANSITION_ARGUMENTS_H_

// What `sample` and `log_z` are told of the transition. Names and parameters
// are those of basin.v1.Transition, read from its descriptor.

#include <CLI/CLI.hpp>
#include <map>
#include <string>

#include <absl/status/statusor.h>

#include "basin/v1/common.pb.h"

namespace basin::client {

struct TransitionArguments {
  std::string name;                          // empty = the model's default
  std::map<std::string, double> parameters;  // those that were given
  std::string surrogate;                     // empty = none
};

// Adds --transition and its parameters, under the heading "Transition".
void AddTransitionArguments(CLI::App& command, TransitionArguments& args);

// Without a name, parameters belong to the kind of `model_default`; a
// transition without a kind comes back if there are none either.
// InvalidArgument names a parameter that the kind has not.
absl::StatusOr<v1::Transition> MakeTransition(
    const TransitionArguments& args, const v1::Transition& model_default);

// "mala step_size=0.1".
std::string DescribeTransition(const v1::Transition& transition);

}  // namespace basin::client

#endif  // BASIN_CLIENT_CLI_TRANSITION_ARGUMENTS_H_
