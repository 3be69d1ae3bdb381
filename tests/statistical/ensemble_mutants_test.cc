// The checks of this folder reject faulty annealed importance sampling,
// resampling and tempering. Each mutant is the copy of ensemble_copy.h with
// one fault; without one it gives the scheduler's bytes.

#include <cstdio>
#include <numbers>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/core/scheduler/job_helpers.h"
#include "tests/statistical/ensemble_copy.h"
#include "tests/statistical/log_z_checks.h"

namespace basin::testing {
namespace {

using Fault = EnsembleFault;

const char* Name(Fault fault) {
  switch (fault) {
    case Fault::kNone:
      return "none (control)";
    case Fault::kWeighedAfterMove:
      return "weighed after the move";
    case Fault::kMovedAtLastLevel:
      return "moved at the level before";
    case Fault::kOneSignFlipped:
      return "sign of one increment";
    case Fault::kLastLevelMissing:
      return "last increment missing";
    case Fault::kWeightsKept:
      return "weights not reset";
    case Fault::kMeanWeightMissing:
      return "mean weight not in ln Z";
    case Fault::kOffspringOfSquares:
      return "offspring of squares";
    case Fault::kOffspringShifted:
      return "offspring of the next";
    case Fault::kEnergiesNotCopied:
      return "energies not copied";
    case Fault::kSwapSignFlipped:
      return "sign of the ratio";
    case Fault::kAlwaysSwapped:
      return "always accepted";
    case Fault::kEnergiesNotSwapped:
      return "energies not swapped";
    case Fault::kStatesNotSwapped:
      return "states not swapped";
    case Fault::kColderLevelAlone:
      return "colder level's beta alone";
  }
  return "";
}

// From all states of a 3 x 4 lattice, alike.
LogZCase OfALattice(const Enumerated& lattice) {
  LogZCase one;
  one.model = lattice.model.served;
  one.exact = lattice.log_z;
  one.log_volume = 12 * std::numbers::ln2;
  one.transition = Params(TransitionKind::kSiteMetropolis, 12);
  one.levels = 20;
  one.widest = 1;
  return one;
}

LogZCase PopulationOfALattice(const Enumerated& lattice) {
  LogZCase one = OfALattice(lattice);
  one.chains = 256;
  one.levels = 12;
  one.transition.leaps = 4;
  return one;
}

std::vector<double> CopiedWeights(Fault fault, const SampleSpec& spec) {
  EnsembleCopy copy(fault, spec);
  copy.Run(nullptr);
  return spec.annealing.islands > 1 ? copy.IslandLogZ() : copy.log_weights();
}

// Judges a mutant and prints a row of the table.
bool LogZPasses(const char* what, const LogZCase& one,
                AnnealingOptions::Weights weights, Fault fault) {
  const LogZVerdict verdict = CheckLogZ(
      one, weights, LogZCase::kFirstSeed,
      [fault](const SampleSpec& spec) { return CopiedWeights(fault, spec); });
  std::printf("%-20s %-26s ln Z: %9.2f SE, %d intervals cover %s\n", what,
              Name(fault), verdict.standard_errors(), verdict.covering,
              verdict.lawful() ? "pass" : "FAIL");
  return verdict.lawful();
}

void ExpectSameWeights(const LogZCase& one, AnnealingOptions::Weights weights) {
  const auto scheduler = OneWorker(*one.model);
  for (const uint64_t seed : {1, 2, 3}) {
    const SampleSpec spec = SpecOf(one, weights, seed);
    EXPECT_EQ(CopiedWeights(Fault::kNone, spec),
              ScheduledWeights(*scheduler, spec));
  }
}

TEST(EnsembleMutantsTest, AnnealedImportance) {
  const LogZCase one = OfALattice(Enumerated(0.4, 0.1, 1));
  ExpectSameWeights(one, kImportance);
  const char* const what = "annealed_importance";
  EXPECT_TRUE(LogZPasses(what, one, kImportance, Fault::kNone));
  for (const Fault fault : {Fault::kWeighedAfterMove, Fault::kMovedAtLastLevel,
                            Fault::kOneSignFlipped, Fault::kLastLevelMissing}) {
    EXPECT_FALSE(LogZPasses(what, one, kImportance, fault)) << Name(fault);
  }
}

TEST(EnsembleMutantsTest, Population) {
  const LogZCase one = PopulationOfALattice(Enumerated(0.5, 0.2, 1));
  ExpectSameWeights(one, kPopulation);
  EXPECT_TRUE(LogZPasses("population", one, kPopulation, Fault::kNone));
  for (const Fault fault :
       {Fault::kWeighedAfterMove, Fault::kOneSignFlipped, Fault::kWeightsKept,
        Fault::kMeanWeightMissing, Fault::kOffspringOfSquares,
        Fault::kOffspringShifted, Fault::kEnergiesNotCopied}) {
    EXPECT_FALSE(LogZPasses("population", one, kPopulation, fault))
        << Name(fault);
  }
}

// 64 ladders of four temperatures on the same lattice.
class TemperedLattice {
 public:
  TemperedLattice() {
    spec_.model = lattice_.model.served;
    spec_.transition = Params(TransitionKind::kSiteMetropolis, 6);
    spec_.chains = 64;
    spec_.warmup = 100;
    spec_.steps = 400;
    spec_.seed = 1;
    spec_.tempering.ladder = {1, 0.6, 0.35, 0.15};
    const auto count = static_cast<size_t>(spec_.rows() * 12);
    for (size_t at = 0; at < count; ++at) {
      spec_.initial.push_back(at * 7 / 5 % 2 == 0 ? 0 : 1);
    }
    for (const double beta : spec_.tempering.ladder) {
      const std::string name = "at beta " + std::to_string(beta);
      observables_.push_back(
          Summed(lattice_.model, beta, "ups " + name, Ups, nullptr));
      observables_.push_back(
          Summed(lattice_.model, beta, "pairs " + name, Pairs, nullptr));
    }
  }

  const SampleSpec& spec() const { return spec_; }

  DiscreteVerdict Judge(Fault fault) const {
    const size_t each = observables_.size() / 4;
    std::vector<double> sums(64 * observables_.size());
    EnsembleCopy copy(fault, spec_);
    copy.Run([&](const ChainTile& tile, int64_t done) {
      if (done <= spec_.warmup) return;
      for (size_t row = 0; row < 256; ++row) {
        for (size_t o = 0; o < each; ++o) {
          const size_t at = row * each + o;
          sums[at] += observables_[at % observables_.size()].value(
                          tile.position + row * 12) /
                      static_cast<double>(spec_.steps);
        }
      }
    });
    return JudgeMeans("tempering", observables_, sums);
  }

 private:
  static double Ups(const float* x) {
    double sum = 0;
    for (int i = 0; i < 12; ++i) sum += x[i];
    return sum;
  }
  // Of the first row, where both are up or both down.
  static double Pairs(const float* x) {
    return (x[0] == x[1] ? 1.0 : 0.0) + (x[1] == x[2] ? 1.0 : 0.0) +
           (x[2] == x[3] ? 1.0 : 0.0);
  }

  const Enumerated lattice_{0.4, 0.1, 1};
  SampleSpec spec_;
  // [ladder, 2]: a row's are those of its replica.
  std::vector<DiscreteObservable> observables_;
};

bool SwapsPass(const TemperedLattice& lattice, Fault fault) {
  const DiscreteVerdict verdict = lattice.Judge(fault);
  std::printf("%-20s %-26s moments: %6.2f of the bound %s\n", "tempering",
              Name(fault), verdict.worst, verdict.passed ? "pass" : "FAIL");
  return verdict.passed;
}

TEST(EnsembleMutantsTest, Swaps) {
  const TemperedLattice lattice;
  EnsembleCopy copy(Fault::kNone, lattice.spec());
  copy.Run(nullptr);
  const auto scheduler = OneWorker(*lattice.spec().model);
  EXPECT_EQ(Collect(Start(*scheduler, lattice.spec())).result.last_states,
            copy.LastStates());
  EXPECT_TRUE(SwapsPass(lattice, Fault::kNone));
  for (const Fault fault :
       {Fault::kSwapSignFlipped, Fault::kAlwaysSwapped,
        Fault::kEnergiesNotSwapped, Fault::kStatesNotSwapped,
        Fault::kColderLevelAlone}) {
    EXPECT_FALSE(SwapsPass(lattice, fault)) << Name(fault);
  }
}

}  // namespace
}  // namespace basin::testing
