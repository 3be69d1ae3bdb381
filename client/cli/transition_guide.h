#ifndef BASIN_CLIENT_CLI_TRANSITION_GUIDE_H_
#define BASIN_CLIENT_CLI_TRANSITION_GUIDE_H_

// What the command line teaches about transitions. deploy/docs/transitions
// has a page for each with more.

#include <CLI/CLI.hpp>
#include <string>

#include <absl/types/span.h>

#include "client/cli/command.h"

namespace basin::client {

struct TransitionGuide {
  const char* name;     // as in --transition
  const char* target;   // "exact", "biased, order 1", "recipe"
  const char* domain;   // "continuous", "binary, categorical"
  const char* cost;     // evaluations of a step
  const char* when;     // one line: when to use it
  const char* formula;  // lines, each ended
  const char* details;  // parameters, adaptation, source: lines, each ended
};

// All transitions: continuous, discrete, recipes.
absl::Span<const TransitionGuide> TransitionGuides();

// A line for each, for --help: "mala (exact): ...".
std::string TransitionLines();

// basin transitions [NAME]: the table, or all of one.
void AddTransitionsCommand(CLI::App& app, Action& action);

}  // namespace basin::client

#endif  // BASIN_CLIENT_CLI_TRANSITION_GUIDE_H_
