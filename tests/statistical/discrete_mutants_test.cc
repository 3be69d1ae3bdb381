// The checks of this folder reject faulty discrete transitions. Each mutant is
// a copy of a transition with one fault.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/backend/discrete_ops.h"
#include "core/base/philox.h"
#include "core/base/status_macros.h"
#include "tests/statistical/discrete_checks.h"

namespace basin::testing {
namespace {

enum class Fault {
  kNone,               // the copy itself: must pass
  kNoAcceptStep,       // proposals always become the state
  kNoProposalRatio,    // q(x | x') / q(x' | x) left out
  kFactorOne,          // d where d / 2 belongs
  kStaleGradient,      // the gradient at x kept after a move
  kHiddenKept,         // hidden units drawn at the first step alone
  kColoursAtOnce,      // all blocks drawn given the same state
  kSignFlipped,        // heat bath of exp(+beta E)
  kPresentNotMasked,   // staying is among the classes proposed
  kClampIgnored,       // clamped sites move
  kNoiseFromPosition,  // noise drawn by the place in the batch
};

const char* Name(Fault fault) {
  switch (fault) {
    case Fault::kNone:
      return "none (control)";
    case Fault::kNoAcceptStep:
      return "no accept step";
    case Fault::kNoProposalRatio:
      return "no proposal ratio";
    case Fault::kFactorOne:
      return "1 for 1/2 in q";
    case Fault::kStaleGradient:
      return "stale gradient";
    case Fault::kHiddenKept:
      return "hidden units kept";
    case Fault::kColoursAtOnce:
      return "all blocks at once";
    case Fault::kSignFlipped:
      return "sign of the heat bath";
    case Fault::kPresentNotMasked:
      return "present class not masked";
    case Fault::kClampIgnored:
      return "clamp ignored";
    case Fault::kNoiseFromPosition:
      return "noise from batch position";
  }
  return "";
}

// A copy of a discrete transition. Tiles are in host memory here.
class DiscreteMutant final : public Transition {
 public:
  DiscreteMutant(TransitionKind kind, Fault fault)
      : fault_(fault), original_(GetTransition(kind)) {}

  TransitionKind kind() const override { return original_.kind(); }
  std::string_view name() const override { return original_.name(); }
  Carried carried() const override { return original_.carried(); }
  bool has_acceptance() const override { return original_.has_acceptance(); }
  DeclaredTarget Target(const TransitionParams& params,
                        double inverse_temperature) const override {
    return original_.Target(params, inverse_temperature);
  }
  absl::StatusOr<ChainCoefficients> Configure(
      const TransitionParams& params,
      double inverse_temperature) const override {
    return original_.Configure(params, inverse_temperature);
  }

  absl::Status Step(EnergyFunction& energy, const TileOps& ops,
                    ChainTile& tile) const override {
    ChainTile false_tile = tile;
    std::vector<uint64_t> chain(static_cast<size_t>(tile.rows));
    std::vector<ChainCoefficients> coefficients(tile.coefficients,
                                                tile.coefficients + tile.rows);
    if (fault_ == Fault::kClampIgnored) false_tile.scale = nullptr;
    if (fault_ == Fault::kNoiseFromPosition) {
      std::iota(chain.begin(), chain.end(), 0);
      false_tile.chain = chain.data();
    }
    for (ChainCoefficients& row : coefficients) {
      if (fault_ == Fault::kSignFlipped) row.beta = -row.beta;
      if (fault_ == Fault::kFactorOne) row.drift *= 2;
    }
    false_tile.coefficients = coefficients.data();
    switch (kind()) {
      case TransitionKind::kGibbs:
        return Sweep(energy, ops, false_tile);
      case TransitionKind::kSiteMetropolis:
        return MoveSite(energy, ops, false_tile);
      case TransitionKind::kSiteHeatBath:
        return DrawSite(energy, ops, false_tile);
      default:
        return MoveByGradient(energy, ops, false_tile);
    }
  }

 private:
  absl::Status Sweep(EnergyFunction& energy, const TileOps& ops,
                     ChainTile& tile) const {
    const std::vector<float> before(tile.position,
                                    tile.position + tile.rows * tile.dimension);
    int64_t quad = 0;
    for (int block = 0; block < energy.blocks(); ++block) {
      const bool at_once = fault_ == Fault::kColoursAtOnce;
      BASIN_ASSIGN_OR_RETURN(
          const BlockLaw law,
          energy.LawOf(block, tile.rows,
                       at_once ? before.data() : tile.position));
      const bool keep = fault_ == Fault::kHiddenKept && law.hidden != nullptr &&
                        tile.step[0] > 0;
      if (!keep) {
        ops.discrete().DrawBlock(tile, law, static_cast<uint32_t>(quad));
      }
      quad += (law.variables + 3) / 4;
    }
    return absl::OkStatus();
  }

  void Accept(const TileOps& ops, const ChainTile& tile) const {
    if (fault_ == Fault::kNoAcceptStep) {
      std::fill_n(tile.log_ratio, tile.rows, 1.0);
    }
    ops.AcceptOrReject(tile);
  }

  absl::Status MoveSite(EnergyFunction& energy, const TileOps& ops,
                        ChainTile& tile) const {
    ops.discrete().ProposeSite(tile, 0, DiscreteOps::SiteClass::kUniform);
    if (fault_ == Fault::kPresentNotMasked) StaySometimes(tile);
    BASIN_RETURN_IF_ERROR(
        energy.Energy(tile.rows, tile.proposal, tile.proposal_energy));
    ops.SetEnergyLogRatio(tile);
    tile.grad_energy = nullptr;
    Accept(ops, tile);
    return absl::OkStatus();
  }

  // One of q times the proposal is the state.
  static void StaySometimes(const ChainTile& tile) {
    const uint64_t values = tile.classes == 0 ? 2 : tile.classes;
    for (int b = 0; b < tile.rows; ++b) {
      const uint64_t word =
          Philox(99, DrawCounter(0, tile.chain[b], tile.step[b], 0)).word[0];
      if (word % values != 0) continue;
      std::copy_n(tile.position + b * tile.dimension, tile.dimension,
                  tile.proposal + b * tile.dimension);
    }
  }

  static absl::Status DrawSite(EnergyFunction& energy, const TileOps& ops,
                               const ChainTile& tile) {
    const DiscreteOps& sites = ops.discrete();
    sites.ProposeSite(tile, 0, DiscreteOps::SiteClass::kNext);
    const int64_t others = tile.classes == 0 ? 1 : tile.classes - 1;
    for (int candidate = 1; candidate <= others; ++candidate) {
      if (candidate > 1) sites.AdvanceSite(tile, 0);
      BASIN_RETURN_IF_ERROR(
          energy.Energy(tile.rows, tile.proposal, tile.proposal_energy));
      sites.DrawCandidate(tile, 0, candidate);
    }
    return absl::OkStatus();
  }

  absl::Status MoveByGradient(EnergyFunction& energy, const TileOps& ops,
                              ChainTile& tile) const {
    const DiscreteOps& sites = ops.discrete();
    const bool all = kind() == TransitionKind::kDiscreteLangevin;
    if (all) {
      sites.ProposeAllSites(tile);
    } else {
      sites.ProposeByGradient(tile);
    }
    if (fault_ == Fault::kPresentNotMasked) StaySometimes(tile);
    BASIN_RETURN_IF_ERROR(energy.DecidingEnergyAndGradient(
        tile.rows, tile.proposal, tile.proposal_energy,
        tile.proposal_grad_energy));
    ops.SetEnergyLogRatio(tile);
    const DiscreteOps::MoveDensity back = {
        .from = tile.proposal,
        .grad_energy = tile.proposal_grad_energy,
        .to = tile.position,
        .sign = 1,
        .log_density = tile.log_ratio};
    const DiscreteOps::MoveDensity there = {.from = tile.position,
                                            .grad_energy = tile.grad_energy,
                                            .to = tile.proposal,
                                            .sign = -1,
                                            .log_density = tile.log_ratio};
    if (fault_ != Fault::kNoProposalRatio) {
      for (const DiscreteOps::MoveDensity& move : {back, there}) {
        if (all) {
          sites.AddAllSitesLogProbability(tile, move);
        } else {
          sites.AddSiteLogProbability(tile, move);
        }
      }
    }
    if (fault_ == Fault::kStaleGradient) tile.grad_energy = nullptr;
    Accept(ops, tile);
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
      {TransitionKind::kGibbs,
       {Fault::kHiddenKept, Fault::kColoursAtOnce, Fault::kSignFlipped,
        Fault::kClampIgnored, Fault::kNoiseFromPosition}},
      {TransitionKind::kSiteMetropolis,
       {Fault::kNoAcceptStep, Fault::kPresentNotMasked, Fault::kClampIgnored,
        Fault::kNoiseFromPosition}},
      {TransitionKind::kSiteHeatBath,
       {Fault::kSignFlipped, Fault::kClampIgnored, Fault::kNoiseFromPosition}},
      {TransitionKind::kGibbsWithGradients,
       {Fault::kNoAcceptStep, Fault::kNoProposalRatio, Fault::kFactorOne,
        Fault::kStaleGradient, Fault::kPresentNotMasked, Fault::kClampIgnored,
        Fault::kNoiseFromPosition}},
      {TransitionKind::kDiscreteLangevin,
       {Fault::kNoAcceptStep, Fault::kNoProposalRatio, Fault::kFactorOne,
        Fault::kStaleGradient, Fault::kClampIgnored,
        Fault::kNoiseFromPosition}},
  };
  return *cases;
}

// Judges a mutant and prints a row of the table; true if all checks pass.
bool Passes(TransitionKind kind, Fault fault) {
  const DiscreteMutant mutant(kind, fault);
  DiscreteVerdict worst;
  bool same_bytes = true;
  for (const MatrixCase& one : AllMatrixCases()) {
    if (one.kind != kind) continue;
    const DiscreteVerdict verdict = CheckFrequencies(mutant, one);
    same_bytes = same_bytes && CheckSameBytesOf(mutant, one);
    if (verdict.worst < worst.worst) continue;
    worst = verdict;
    // One failure is enough.
    if (!worst.passed) break;
  }
  std::printf("%-20s %-26s matrix: %6.2f of the bound %-6s bytes: %s\n",
              std::string(mutant.name()).c_str(), Name(fault), worst.worst,
              worst.passed ? "pass" : "FAIL", same_bytes ? "pass" : "FAIL");
  return worst.passed && same_bytes;
}

class DiscreteMutantsTest : public ::testing::TestWithParam<MutantCase> {};

INSTANTIATE_TEST_SUITE_P(All, DiscreteMutantsTest,
                         ::testing::ValuesIn(MutantCases()),
                         [](const auto& info) {
                           return std::string(
                               GetTransition(info.param.kind).name());
                         });

TEST_P(DiscreteMutantsTest, AreRejected) {
  EXPECT_TRUE(Passes(GetParam().kind, Fault::kNone));
  for (const Fault fault : GetParam().faults) {
    EXPECT_FALSE(Passes(GetParam().kind, fault)) << Name(fault);
  }
}

}  // namespace
}  // namespace basin::testing
