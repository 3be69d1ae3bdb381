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
const Transition& HmcTransition();
const Transition& UnderdampedTransition();
const Transition& UnderdampedMetropolisTransition();
const Transition& MinimizeTransition();
const Transition& DelayedAcceptanceTransition();
const Transition& GibbsTransition();
const Transition& SiteMetropolisTransition();
const Transition& SiteHeatBathTransition();
const Transition& GibbsWithGradientsTransition();
const Transition& DiscreteLangevinTransition();

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

// InvalidArgument, naming `field`, unless 0 <= value <= TileOps::kMaxLeaps.
absl::Status CheckLeaps(absl::string_view field, int64_t value,
                        int default_value);

// InvalidArgument, naming `field`, unless value is in `range`, which is
// "[0, 1]" or "[0, 1)".
absl::Status CheckShare(absl::string_view field, double value,
                        absl::string_view range);

// What 0 stands for. REQUIRES: the field was checked.
int LeapsOr(const TransitionParams& params, int default_value);
double FrictionOr(const TransitionParams& params, double default_value);

}  // namespace basin::internal

#endif  // BASIN_CORE_SAMPLER_TRANSITION_KINDS_H_
