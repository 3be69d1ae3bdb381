// The checks of this folder reject faulty transitions. Each mutant is a
// transition with one fault, most of which stand in published code.

#include <cstdio>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/base/status_macros.h"
#include "tests/statistical/checks.h"
#include "tests/statistical/faulty_ops.h"

namespace basin {
namespace {

using testing::CheckAllMoments;
using testing::CheckSameBytes;
using testing::Fault;
using testing::FaultyOps;
using testing::Verdict;

const char* Name(Fault fault) {
  switch (fault) {
    case Fault::kNone:
      return "none (control)";
    case Fault::kNoAcceptStep:
      return "no accept step";
    case Fault::kDriftFlipped:
      return "drift sign flipped";
    case Fault::kMoveUphill:
      return "move uphill, not q";
    case Fault::kTwoEpsilonDensity:
      return "2 eps for 4 eps in q";
    case Fault::kScaleNotSquared:
      return "scale not squared in q";
    case Fault::kOneDecision:
      return "one decision per batch";
    case Fault::kNoiseFromPosition:
      return "noise from batch position";
    case Fault::kNoiseTooSmall:
      return "noise sqrt(eps)";
    case Fault::kOrderSwapped:
      return "noise and drift swapped";
    case Fault::kMomentumKept:
      return "momentum kept at rejection";
    case Fault::kMomentumNotRefreshed:
      return "momentum not refreshed";
    case Fault::kHalfKickMissing:
      return "half kick missing";
    case Fault::kReflectionWithoutFlip:
      return "reflection without flip";
    case Fault::kKineticEnergyMissing:
      return "kinetic energy left out";
    case Fault::kSurrogateNotDivided:
      return "cheap ratio not divided";
  }
  return "";
}

// A transition with a fault.
class Mutant : public Transition {
 public:
  Mutant(TransitionKind kind, Fault fault)
      : fault_(fault), original_(GetTransition(kind)) {}

  TransitionKind kind() const override { return original_.kind(); }
  std::string_view name() const override { return original_.name(); }
  DeclaredTarget Target(const TransitionParams& params,
                        double inverse_temperature) const override {
    return original_.Target(params, inverse_temperature);
  }
  absl::StatusOr<ChainCoefficients> Configure(
      const TransitionParams& params,
      double inverse_temperature) const override {
    return original_.Configure(params, inverse_temperature);
  }
  Carried carried() const override { return original_.carried(); }
  bool carries_momentum() const override {
    // What is never refreshed must at least be kept.
    return original_.carries_momentum() ||
           (original_.uses_momentum() &&
            fault_ == Fault::kMomentumNotRefreshed);
  }
  bool has_acceptance() const override { return original_.has_acceptance(); }

  absl::Status Step(EnergyFunction& energy, const TileOps& ops,
                    ChainTile& tile) const override {
    if (fault_ == Fault::kOrderSwapped) return StepSwapped(energy, ops, tile);
    const FaultyOps faulty(fault_, ops);
    return original_.Step(energy, faulty, tile);
  }

 private:
  // One recipe's step in the place of the other's.
  absl::Status StepSwapped(EnergyFunction& energy, const TileOps& ops,
                           ChainTile& tile) const {
    const bool is_jem = original_.kind() == TransitionKind::kJem;
    // Igebm does not carry the gradient that jem needs.
    if (!is_jem) {
      BASIN_RETURN_IF_ERROR(energy.EnergyAndGradient(
          tile.rows, tile.position, tile.energy, tile.grad_energy));
    }
    return GetTransition(is_jem ? TransitionKind::kIgebm : TransitionKind::kJem)
        .Step(energy, ops, tile);
  }

  const Fault fault_;
  const Transition& original_;
};

struct MutantCase {
  TransitionKind kind;
  std::vector<Fault> faults;
};

const std::vector<MutantCase>& MutantCases() {
  static const auto* const cases = new std::vector<MutantCase>{
      {TransitionKind::kUla,
       {Fault::kDriftFlipped, Fault::kNoiseFromPosition,
        Fault::kNoiseTooSmall}},
      {TransitionKind::kMala,
       {Fault::kNoAcceptStep, Fault::kDriftFlipped, Fault::kMoveUphill,
        Fault::kTwoEpsilonDensity, Fault::kScaleNotSquared, Fault::kOneDecision,
        Fault::kNoiseFromPosition, Fault::kNoiseTooSmall,
        Fault::kMomentumNotRefreshed, Fault::kHalfKickMissing,
        Fault::kReflectionWithoutFlip, Fault::kKineticEnergyMissing}},
      {TransitionKind::kRandomWalk,
       {Fault::kNoAcceptStep, Fault::kOneDecision, Fault::kNoiseFromPosition}},
      {TransitionKind::kIgebm,
       {Fault::kDriftFlipped, Fault::kNoiseFromPosition, Fault::kOrderSwapped}},
      {TransitionKind::kJem,
       {Fault::kDriftFlipped, Fault::kNoiseFromPosition, Fault::kOrderSwapped}},
      {TransitionKind::kHmc,
       {Fault::kNoAcceptStep, Fault::kDriftFlipped, Fault::kOneDecision,
        Fault::kNoiseFromPosition, Fault::kMomentumNotRefreshed,
        Fault::kHalfKickMissing, Fault::kReflectionWithoutFlip,
        Fault::kKineticEnergyMissing}},
      {TransitionKind::kUnderdamped,
       {Fault::kDriftFlipped, Fault::kNoiseFromPosition, Fault::kNoiseTooSmall,
        Fault::kMomentumNotRefreshed, Fault::kHalfKickMissing,
        Fault::kReflectionWithoutFlip}},
      {TransitionKind::kUnderdampedMetropolis,
       {Fault::kNoAcceptStep, Fault::kDriftFlipped, Fault::kOneDecision,
        Fault::kNoiseFromPosition, Fault::kNoiseTooSmall, Fault::kMomentumKept,
        Fault::kMomentumNotRefreshed, Fault::kHalfKickMissing,
        Fault::kReflectionWithoutFlip, Fault::kKineticEnergyMissing}},
      {TransitionKind::kDelayedAcceptance,
       {Fault::kNoAcceptStep, Fault::kOneDecision, Fault::kNoiseFromPosition,
        Fault::kSurrogateNotDivided}},
  };
  return *cases;
}

// Judges a mutant and prints a row of the table; true if all checks pass.
bool Passes(TransitionKind kind, Fault fault) {
  const Mutant mutant(kind, fault);
  const Verdict moments = CheckAllMoments(mutant);
  const bool same_bytes = CheckSameBytes(mutant);
  std::printf("%-22s %-26s moments: %9.2f SE %-6s bytes: %s\n",
              std::string(mutant.name()).c_str(), Name(fault), moments.worst_z,
              moments.passed ? "pass" : "FAIL", same_bytes ? "pass" : "FAIL");
  return moments.passed && same_bytes;
}

class MutantsTest : public ::testing::TestWithParam<MutantCase> {};

INSTANTIATE_TEST_SUITE_P(All, MutantsTest, ::testing::ValuesIn(MutantCases()),
                         [](const auto& info) {
                           return std::string(
                               GetTransition(info.param.kind).name());
                         });

TEST_P(MutantsTest, AreRejected) {
  EXPECT_TRUE(Passes(GetParam().kind, Fault::kNone));
  for (const Fault fault : GetParam().faults) {
    EXPECT_FALSE(Passes(GetParam().kind, fault)) << Name(fault);
  }
}

}  // namespace
}  // namespace basin
