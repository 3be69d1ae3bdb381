#ifndef BASIN_CORE_SAMPLER_TRANSITION_KINDS_H_
#define BASIN_CORE_SAMPLER_TRANSITION_KINDS_H_

// What the files of the transitions share; for core/sampler alone. A new
// transition is a file with its class, a function here, and a line in
// transition.cc.

#include <absl/status/status.h>
#include <absl/strings/string_view.h>

#include "core/sampler/transition.h"

namespace basin::internal {

// Each in the file of its name; never destroyed.
const Transition& UlaTransition();
const Transition& MalaTransition();
const Transition& RandomWalkTransition();
const Transition& IgebmTransition();
const Transition& JemTransition();

// Accepted sizes of parameters: products and squares of two stay far inside
// what a float holds.
inline constexpr double kMinParameter = 1e-12;
inline constexpr double kMaxParameter = 1e12;

// InvalidArgument, naming `field`, unless kMinParameter <= value <=
// kMaxParameter.
absl::Status CheckPositive(absl::string_view field, double value);

// The same, but 0 is accepted too; `meaning` says what it stands for.
absl::Status CheckPositiveOrZero(absl::string_view field, double value,
                                 absl::string_view meaning);

// CheckPositive() of what all transitions take.
absl::Status CheckInverseTemperature(double value);

}  // namespace basin::internal

#endif  // BASIN_CORE_SAMPLER_TRANSITION_KINDS_H_
