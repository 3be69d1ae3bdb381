// The checks of this folder reject faulty transitions. Each mutant is a copy
// of a transition with one fault, most of which stand in published code.

#include <algorithm>
#include <cstdio>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/base/status_macros.h"
#include "tests/statistical/checks.h"

namespace basin {
namespace {

using testing::CheckAllMoments;
using testing::CheckSameBytes;
using testing::Verdict;

enum class Fault {
  kNone,               // the copy itself: must pass
  kNoAcceptStep,       // proposals always become the state
  kDriftFlipped,       // uphill
  kTwoEpsilonDensity,  // 2 epsilon where 4 epsilon belongs
  kOneDecision,        // the batch accepts or rejects as one, by its mean
  kNoiseFromPosition,  // noise drawn by the place in the batch
  kNoiseTooSmall,      // sqrt(epsilon) where sqrt(2 epsilon) belongs
  kOrderSwapped,       // noise after drift where before belongs, or so
};

const char* Name(Fault fault) {
  switch (fault) {
    case Fault::kNone:
      return "none (control)";
    case Fault::kNoAcceptStep:
      return "no accept step";
    case Fault::kDriftFlipped:
      return "drift sign flipped";
    case Fault::kTwoEpsilonDensity:
      return "2 eps for 4 eps in q";
    case Fault::kOneDecision:
      return "one decision per batch";
    case Fault::kNoiseFromPosition:
      return "noise from batch position";
    case Fault::kNoiseTooSmall:
      return "noise sqrt(eps)";
    case Fault::kOrderSwapped:
      return "noise and drift swapped";
  }
  return "";
}

// The arrays that a fault falsifies. Tiles are in host memory here.
struct Falsified {
  std::vector<float> drift;
  std::vector<float> noise;
  std::vector<uint64_t> chain;

  // `tile` as its moves see it.
  ChainTile ForMoves(Fault fault, ChainTile tile) {
    drift.assign(tile.drift, tile.drift + tile.rows);
    noise.assign(tile.noise, tile.noise + tile.rows);
    chain.assign(tile.chain, tile.chain + tile.rows);
    if (fault == Fault::kDriftFlipped) {
      for (float& d : drift) d = -d;
    }
    if (fault == Fault::kNoiseTooSmall) {
      for (float& s : noise) s *= 0.70710678F;
    }
    if (fault == Fault::kNoiseFromPosition) {
      std::iota(chain.begin(), chain.end(), 0);
    }
    tile.drift = drift.data();
    tile.noise = noise.data();
    tile.chain = chain.data();
    return tile;
  }

  // `tile` as the density of its moves sees it.
  ChainTile ForDensity(Fault fault, ChainTile tile) {
    noise.assign(tile.noise, tile.noise + tile.rows);
    if (fault == Fault::kTwoEpsilonDensity) {
      for (float& s : noise) s *= 0.70710678F;
    }
    tile.noise = noise.data();
    return tile;
  }
};

void Decide(Fault fault, const TileOps& ops, ChainTile tile) {
  double* ratio = tile.log_ratio;
  std::vector<uint64_t> chain(tile.chain, tile.chain + tile.rows);
  if (fault == Fault::kNoAcceptStep) {
    std::fill_n(ratio, tile.rows, std::numeric_limits<double>::infinity());
  }
  if (fault == Fault::kOneDecision) {
    const double mean =
        std::accumulate(ratio, ratio + tile.rows, 0.0) / tile.rows;
    std::fill_n(ratio, tile.rows, mean);
    std::fill(chain.begin(), chain.end(), tile.chain[0]);
    tile.chain = chain.data();
  }
  ops.AcceptOrReject(tile);
}

// A transition with another step.
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
  bool has_acceptance() const override { return original_.has_acceptance(); }

  absl::Status Step(EnergyFunction& energy, const TileOps& ops,
                    ChainTile& tile) const override {
    switch (original_.kind()) {
      case TransitionKind::kMala:
        return StepMala(energy, ops, tile);
      case TransitionKind::kRandomWalk:
        return StepRandomWalk(energy, ops, tile);
      case TransitionKind::kUla:
        return StepDriftThenNoise(energy, ops, tile,
                                  TileOps::Confinement::kReflect);
      case TransitionKind::kJem:
        return fault_ == Fault::kOrderSwapped
                   ? StepNoiseThenDrift(energy, ops, tile)
                   : StepDriftThenNoise(energy, ops, tile,
                                        TileOps::Confinement::kClip);
      case TransitionKind::kIgebm:
        break;
    }
    if (fault_ == Fault::kOrderSwapped) {
      // Its gradient is not carried.
      BASIN_RETURN_IF_ERROR(energy.EnergyAndGradient(
          tile.rows, tile.position, tile.energy, tile.grad_energy));
      return StepDriftThenNoise(energy, ops, tile, TileOps::Confinement::kClip);
    }
    return StepNoiseThenDrift(energy, ops, tile);
  }

 private:
  absl::Status StepMala(EnergyFunction& energy, const TileOps& ops,
                        ChainTile& tile) const {
    Falsified falsified;
    const ChainTile moves = falsified.ForMoves(fault_, tile);
    ops.Displace(moves, {tile.position, tile.grad_energy, TileOps::Noise::kOn,
                         tile.proposal});
    BASIN_RETURN_IF_ERROR(energy.EnergyAndGradient(tile.rows, tile.proposal,
                                                   tile.proposal_energy,
                                                   tile.proposal_grad_energy));
    ops.SetEnergyLogRatio(tile);
    const ChainTile density = falsified.ForDensity(fault_, tile);
    ops.AddMoveLogDensity(density, {tile.proposal, tile.proposal_grad_energy,
                                    tile.position, 1, tile.log_ratio});
    ops.AddMoveLogDensity(density, {tile.position, tile.grad_energy,
                                    tile.proposal, -1, tile.log_ratio});
    Decide(fault_, ops, tile);
    return absl::OkStatus();
  }

  absl::Status StepRandomWalk(EnergyFunction& energy, const TileOps& ops,
                              ChainTile& tile) const {
    Falsified falsified;
    const ChainTile moves = falsified.ForMoves(fault_, tile);
    ops.Displace(moves,
                 {tile.position, nullptr, TileOps::Noise::kOn, tile.proposal});
    ops.Confine(tile, TileOps::Confinement::kReflect, tile.proposal);
    BASIN_RETURN_IF_ERROR(
        energy.Energy(tile.rows, tile.proposal, tile.proposal_energy));
    ops.SetEnergyLogRatio(tile);
    Decide(fault_, ops, tile);
    return absl::OkStatus();
  }

  absl::Status StepDriftThenNoise(EnergyFunction& energy, const TileOps& ops,
                                  ChainTile& tile,
                                  TileOps::Confinement confinement) const {
    Falsified falsified;
    ops.Displace(
        falsified.ForMoves(fault_, tile),
        {tile.position, tile.grad_energy, TileOps::Noise::kOn, tile.position});
    ops.Confine(tile, confinement, tile.position);
    return energy.EnergyAndGradient(tile.rows, tile.position, tile.energy,
                                    tile.grad_energy);
  }

  absl::Status StepNoiseThenDrift(EnergyFunction& energy, const TileOps& ops,
                                  ChainTile& tile) const {
    Falsified falsified;
    const ChainTile moves = falsified.ForMoves(fault_, tile);
    ops.Displace(moves,
                 {tile.position, nullptr, TileOps::Noise::kOn, tile.position});
    BASIN_RETURN_IF_ERROR(energy.EnergyAndGradient(
        tile.rows, tile.position, tile.energy, tile.grad_energy));
    ops.Displace(moves, {tile.position, tile.grad_energy, TileOps::Noise::kOff,
                         tile.position});
    ops.Confine(tile, TileOps::Confinement::kClip, tile.position);
    return absl::OkStatus();
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
       {Fault::kNoAcceptStep, Fault::kDriftFlipped, Fault::kTwoEpsilonDensity,
        Fault::kOneDecision, Fault::kNoiseFromPosition, Fault::kNoiseTooSmall}},
      {TransitionKind::kRandomWalk,
       {Fault::kNoAcceptStep, Fault::kOneDecision, Fault::kNoiseFromPosition}},
      {TransitionKind::kIgebm,
       {Fault::kDriftFlipped, Fault::kNoiseFromPosition, Fault::kOrderSwapped}},
      {TransitionKind::kJem,
       {Fault::kDriftFlipped, Fault::kNoiseFromPosition, Fault::kOrderSwapped}},
  };
  return *cases;
}

// Judges a mutant and prints a row of the table; true if all checks pass.
bool Passes(TransitionKind kind, Fault fault) {
  const Mutant mutant(kind, fault);
  const Verdict moments = CheckAllMoments(mutant);
  const bool same_bytes = CheckSameBytes(mutant);
  std::printf("%-12s %-26s moments: %9.2f SE %-6s bytes: %s\n",
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
