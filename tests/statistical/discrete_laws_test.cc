// Transitions on larger models have the law of the model: exact values of
// Ising models, and sums over all states of the others.

#include <cmath>
#include <cstdio>
#include <ostream>
#include <string>
#include <vector>

#include <absl/strings/str_cat.h>
#include <gtest/gtest.h>

#include "core/base/philox.h"
#include "tests/statistical/discrete_checks.h"
#include "tests/statistical/false_alarms.h"

namespace basin::testing {
namespace {

constexpr TransitionKind kAll[] = {
    TransitionKind::kGibbs, TransitionKind::kSiteMetropolis,
    TransitionKind::kSiteHeatBath, TransitionKind::kGibbsWithGradients,
    TransitionKind::kDiscreteLangevin};

// A number in [0, 1) for a chain and a coordinate.
double Uniform(uint64_t chain, uint64_t i) {
  const PhiloxBlock block =
      Philox(3, DrawCounter(static_cast<uint32_t>(i), chain, 0, 0));
  return block.word[0] * 0x1p-32;
}

// Uniformly from all states.
std::function<std::vector<float>(uint64_t)> AnyState(
    const DiscreteModel& model) {
  const auto d = static_cast<size_t>(model.dimension());
  const auto q = static_cast<size_t>(model.classes());
  return [d, q](uint64_t chain) {
    std::vector<float> state(d);
    for (size_t i = 0; i < d; i += std::max<size_t>(q, 1)) {
      const double u = Uniform(chain, i);
      if (q == 0) {
        state[i] = u < 0.5 ? 0 : 1;
      } else {
        state[i + static_cast<size_t>(u * static_cast<double>(q))] = 1;
      }
    }
    return state;
  };
}

TransitionParams ParamsFor(TransitionKind kind, double alpha) {
  TransitionParams params;
  params.kind = kind;
  if (kind == TransitionKind::kDiscreteLangevin) params.step_size = alpha;
  return params;
}

void ExpectLaw(LawCase one) {
  for (const uint64_t seed : Seeds(kDiscreteSeed)) {
    one.run.seed = seed;
    const DiscreteVerdict verdict =
        CheckLaw(GetTransition(one.run.params.kind), one);
    CountGates(Gate::kDiscreteMean, verdict.gates);
    EXPECT_TRUE(verdict.passed)
        << verdict.worst_of << " is " << verdict.worst
        << " times as far off as it may be with seed " << seed;
    std::printf("worst of %d: %.2f of the bound, %s\n", verdict.gates,
                verdict.worst, verdict.worst_of.c_str());
  }
}

// Of a square lattice of side `side`, periodic.
double IsingEnergy(const float* x, int side) {
  double energy = 0;
  for (int a = 0; a < side; ++a) {
    for (int b = 0; b < side; ++b) {
      const double s = 2 * x[a * side + b] - 1;
      energy -= s * (2 * x[(a + 1) % side * side + b] - 1);
      energy -= s * (2 * x[a * side + (b + 1) % side] - 1);
    }
  }
  return energy / (side * side);
}

double Magnetisation(const float* x, int sites) {
  double sum = 0;
  for (int i = 0; i < sites; ++i) sum += 2 * x[i] - 1;
  return sum / sites;
}

struct IsingValues {
  double k, energy, magnetisation, square;
};
constexpr IsingValues kTable[] = {
    {0.2, -0.4561353695, 0.3427656276, 0.1751994781},
    {0.4, -1.3791164823, 0.7647123932, 0.6548257569},
    {0.4406867935, -1.5656237876, 0.8438604448, 0.7613589086},
    {0.5, -1.7553802888, 0.9189432674, 0.8689216816}};

// How many steps make about one update of each of 16 sites.
struct Length {
  int64_t leaps = 0;
  int64_t steps = 1;  // per sweep
};
Length SweepOf16(TransitionKind kind) {
  switch (kind) {
    case TransitionKind::kSiteMetropolis:
    case TransitionKind::kSiteHeatBath:
      return {.leaps = 16, .steps = 1};
    case TransitionKind::kGibbsWithGradients:
      return {.leaps = 0, .steps = 16};
    case TransitionKind::kDiscreteLangevin:
      return {.leaps = 0, .steps = 4};
    default:
      return {};
  }
}

class IsingTest : public ::testing::TestWithParam<TransitionKind> {};

INSTANTIATE_TEST_SUITE_P(All, IsingTest, ::testing::ValuesIn(kAll),
                         [](const auto& info) {
                           return std::string(Name(info.param));
                         });

TEST_P(IsingTest, OnATorusOf16SitesIsExact) {
  for (const IsingValues& exact : kTable) {
    const DiscreteModel model = MakeModel(absl::StrCat(
        "family: LATTICE lattice { size: [4, 4] coupling: ", exact.k, " }"));
    const Length length = SweepOf16(GetParam());
    LawCase one;
    one.name = absl::StrCat("K = ", exact.k);
    one.model = &model;
    one.run.params = ParamsFor(GetParam(), 0.7);
    one.run.params.leaps = length.leaps;
    one.run.start = AnyState(model);
    one.burn_in = 150 * length.steps;
    one.steps = 60 * length.steps;
    one.observables = {
        {"energy", exact.energy,
         [](const float* x) { return IsingEnergy(x, 4); }},
        {"|m|", exact.magnetisation,
         [](const float* x) { return std::abs(Magnetisation(x, 16)); }},
        {"m^2", exact.square,
         [](const float* x) { return std::pow(Magnetisation(x, 16), 2); }}};
    ExpectLaw(one);
  }
}

// Kaufman's energies of the 16 x 16 torus, at one coupling and several
// temperatures.
struct Kaufman {
  double k, energy;
};
constexpr Kaufman kWarm = {0.3, -0.704532671};
constexpr Kaufman kBelow = {0.4, -1.13131799};
constexpr Kaufman kCritical = {0.4406867935, -1.45306485};
constexpr Kaufman kAbove = {0.5, -1.74553067};

struct LargeIsingCase {
  TransitionKind kind = TransitionKind::kGibbs;
  Kaufman exact;
  int64_t burn_in = 0;
  int64_t steps = 0;
  int chains = 64;
};
void PrintTo(const LargeIsingCase& one, std::ostream* out) {
  *out << Name(one.kind) << " at " << one.exact.k;
}

// At the critical coupling chains need thousands of sweeps, for which only
// Gibbs sampling is cheap enough; the others take 256 energies a sweep, or
// steps that are small, and are looked at where they mix. A step is a sweep
// but for the last two, which need some hundreds of steps for one.
std::vector<LargeIsingCase> LargeIsingCases() {
  std::vector<LargeIsingCase> cases;
  for (const Kaufman& exact : {kBelow, kCritical, kAbove}) {
    cases.push_back({TransitionKind::kGibbs, exact, 3000, 2000, 256});
  }
  cases.push_back({TransitionKind::kSiteMetropolis, kBelow, 150, 50});
  cases.push_back({TransitionKind::kSiteMetropolis, kAbove, 60, 60});
  cases.push_back({TransitionKind::kSiteHeatBath, kWarm, 60, 40});
  cases.push_back({TransitionKind::kSiteHeatBath, kAbove, 80, 40});
  cases.push_back({TransitionKind::kGibbsWithGradients, kWarm, 6000, 3000});
  cases.push_back({TransitionKind::kGibbsWithGradients, kAbove, 2000, 2000});
  cases.push_back({TransitionKind::kDiscreteLangevin, kWarm, 1000, 2000});
  cases.push_back({TransitionKind::kDiscreteLangevin, kAbove, 1000, 2000});
  return cases;
}

class IsingTest16 : public ::testing::TestWithParam<LargeIsingCase> {};

INSTANTIATE_TEST_SUITE_P(All, IsingTest16,
                         ::testing::ValuesIn(LargeIsingCases()),
                         [](const auto& info) {
                           return std::string(Name(info.param.kind)) + "_" +
                                  std::to_string(
                                      std::lround(1000 * info.param.exact.k));
                         });

TEST_P(IsingTest16, HasKaufmansEnergies) {
  const LargeIsingCase& large = GetParam();
  const DiscreteModel model =
      MakeModel("family: LATTICE lattice { size: [16, 16] coupling: 1 }");
  LawCase one;
  one.name = absl::StrCat("K = ", large.exact.k);
  one.model = &model;
  one.run.params = ParamsFor(large.kind, 0.2);
  // Sweeps.
  one.run.params.leaps = 16 * SweepOf16(large.kind).leaps;
  one.run.inverse_temperature = large.exact.k;
  // From order: random states freeze in stripes.
  one.run.start = [](uint64_t) { return std::vector<float>(256, 1.0F); };
  one.chains = large.chains;
  one.burn_in = large.burn_in;
  one.steps = large.steps;
  one.observables = {{"energy", large.exact.energy,
                      [](const float* x) { return IsingEnergy(x, 16); }}};
  ExpectLaw(one);
}

// Means and some products, over all states that `allows` accepts.
std::vector<DiscreteObservable> Moments(
    const DiscreteModel& model, double beta, const std::vector<int>& places,
    const std::function<bool(const float*)>& allows) {
  std::vector<DiscreteObservable> observables;
  for (size_t at = 0; at + 1 < places.size(); ++at) {
    const int i = places[at];
    const int j = places[at + 1];
    observables.push_back(Summed(
        model, beta, absl::StrCat("x", i),
        [i](const float* x) { return double{x[i]}; }, allows));
    observables.push_back(Summed(
        model, beta, absl::StrCat("x", i, " x", j),
        [i, j](const float* x) { return double{x[i]} * x[j]; }, allows));
  }
  return observables;
}

std::string RbmFile(int64_t visible, int64_t hidden) {
  const auto v = static_cast<size_t>(visible);
  const auto h = static_cast<size_t>(hidden);
  return SafetensorsBuilder()
      .Floats("W", {visible, hidden}, RandomFloats(v * h, 41))
      .Floats("b", {visible}, RandomFloats(v, 42))
      .Floats("c", {hidden}, RandomFloats(h, 43))
      .Build();
}

class EnumeratedTest : public ::testing::TestWithParam<TransitionKind> {};

INSTANTIATE_TEST_SUITE_P(All, EnumeratedTest, ::testing::ValuesIn(kAll),
                         [](const auto& info) {
                           return std::string(Name(info.param));
                         });

// Free energies are sums over the 2^20 hidden states: the family's tests.
TEST_P(EnumeratedTest, RbmWithTwentyHiddenUnits) {
  const DiscreteModel model = MakeModel("family: RBM", RbmFile(8, 20));
  LawCase one;
  one.name = "rbm";
  one.model = &model;
  one.run.params = ParamsFor(GetParam(), 0.5);
  one.run.params.leaps = SweepOf16(GetParam()).leaps;
  one.run.start = AnyState(model);
  one.burn_in = 400;
  one.steps = 200;
  one.observables = Moments(model, 1, {0, 3, 5, 7}, nullptr);
  ExpectLaw(one);
  // Three visible units given.
  one.name = "rbm clamped";
  one.run.scale = {0, 1, 1, 0, 1, 1, 0, 1};
  const auto any = one.run.start;
  one.run.start = [any](uint64_t chain) {
    std::vector<float> state = any(chain);
    state[0] = 1;
    state[3] = 0;
    state[6] = 1;
    return state;
  };
  one.observables = Moments(model, 1, {1, 2, 4, 5}, [](const float* x) {
    return x[0] == 1 && x[3] == 0 && x[6] == 1;
  });
  ExpectLaw(one);
}

TEST_P(EnumeratedTest, DeepBoltzmannMachine) {
  const DiscreteModel model =
      MakeModel("family: BOLTZMANN boltzmann { layer: [3, 4, 2] }",
                SafetensorsBuilder()
                    .Floats("W0", {3, 4}, RandomFloats(12, 51))
                    .Floats("W1", {4, 2}, RandomFloats(8, 52))
                    .Floats("b0", {3}, RandomFloats(3, 53))
                    .Floats("b1", {4}, RandomFloats(4, 54))
                    .Build());
  LawCase one;
  one.name = "layers";
  one.model = &model;
  one.run.params = ParamsFor(GetParam(), 0.6);
  one.run.params.leaps = SweepOf16(GetParam()).leaps;
  one.run.inverse_temperature = 1.4;
  one.run.start = AnyState(model);
  one.burn_in = 200;
  one.steps = 100;
  one.observables = Moments(model, 1.4, {0, 4, 8, 2}, nullptr);
  ExpectLaw(one);
}

// The number of neighbours that agree, over all 3^8 states.
double Agreement(const float* x) {
  double sum = 0;
  for (int a = 0; a < 2; ++a) {
    for (int b = 0; b < 4; ++b) {
      for (int state = 0; state < 3; ++state) {
        const double here = x[(a * 4 + b) * 3 + state];
        if (a == 0) sum += here * x[(4 + b) * 3 + state];
        if (b < 3) sum += here * x[(a * 4 + b + 1) * 3 + state];
      }
    }
  }
  return sum;
}

TEST_P(EnumeratedTest, Potts) {
  const DiscreteModel model = MakeModel(
      "family: LATTICE lattice { size: [2, 4] states: 3 coupling: 0.8 "
      "field: [0.2, 0, -0.3] boundary: FREE }");
  LawCase one;
  one.name = "potts";
  one.model = &model;
  one.run.params = ParamsFor(GetParam(), 0.9);
  one.run.params.leaps = SweepOf16(GetParam()).leaps / 2;
  one.run.inverse_temperature = 0.9;
  one.run.start = AnyState(model);
  one.burn_in = 200;
  one.steps = 100;
  one.observables = Moments(model, 0.9, {0, 4, 23}, nullptr);
  one.observables.push_back(
      Summed(model, 0.9, "agreement", Agreement, nullptr));
  ExpectLaw(one);
}

// p(x), up to a factor, of the RBM with Gaussian visible units below: a
// mixture of normals over its hidden states.
struct GaussianRbm {
  std::vector<float> w = RandomFloats(6, 61);  // [2, 3]
  std::vector<float> b = {0.3F, -0.2F};
  std::vector<float> c = {0.1F, -0.4F, 0.2F};
  std::vector<float> sigma = {0.7F, 1.3F};

  std::string File() const {
    return SafetensorsBuilder()
        .Floats("W", {2, 3}, w)
        .Floats("b", {2}, b)
        .Floats("c", {3}, c)
        .Floats("sigma", {2}, sigma)
        .Build();
  }
  double Density(double x0, double x1) const {
    const double x[] = {x0, x1};
    double sum = 0;
    for (int h = 0; h < 8; ++h) {
      double energy = 0;
      for (int i = 0; i < 2; ++i) {
        energy += std::pow((x[i] - b[i]) / sigma[i], 2) / 2;
      }
      for (int j = 0; j < 3; ++j) {
        if ((h >> j & 1) == 0) continue;
        energy -= c[j];
        for (int i = 0; i < 2; ++i) {
          energy -= x[i] * w[3 * i + j] / (sigma[i] * sigma[i]);
        }
      }
      sum += std::exp(-energy);
    }
    return sum;
  }
  // The mean of f over [-9, 9]^2, or over [low, high]^2.
  double Mean(const std::function<double(double, double)>& f, double low,
              double high) const {
    constexpr int kCells = 600;
    const double cell = (high - low) / kCells;
    double sum = 0;
    double total = 0;
    for (int a = 0; a < kCells; ++a) {
      for (int b = 0; b < kCells; ++b) {
        const double x0 = low + (a + 0.5) * cell;
        const double x1 = low + (b + 0.5) * cell;
        const double p = Density(x0, x1);
        sum += p * f(x0, x1);
        total += p;
      }
    }
    return sum / total;
  }
};

TEST(GaussianRbmTest, GibbsIsExactInABoxToo) {
  const GaussianRbm rbm;
  const DiscreteModel model =
      MakeModel("family: RBM rbm { visible: GAUSSIAN }", rbm.File());
  LawCase one;
  one.model = &model;
  one.run.params.kind = TransitionKind::kGibbs;
  one.run.start = [](uint64_t) { return std::vector<float>(2, 0.1F); };
  one.chains = 4096;
  for (const bool boxed : {false, true}) {
    const double low = boxed ? -0.5 : -10;
    const double high = boxed ? 0.8 : 10;
    one.name = boxed ? "boxed" : "free";
    if (boxed) {
      one.run.lower = -0.5F;
      one.run.upper = 0.8F;
    }
    const auto add = [&](const std::string& name, double (*f)(double, double)) {
      one.observables.push_back(
          {name, rbm.Mean(f, low, high),
           [f](const float* x) { return f(x[0], x[1]); }});
    };
    one.observables.clear();
    add("x0", [](double x0, double) { return x0; });
    add("x1", [](double, double x1) { return x1; });
    add("x0^2", [](double x0, double) { return x0 * x0; });
    add("x1^2", [](double, double x1) { return x1 * x1; });
    add("x0 x1", [](double x0, double x1) { return x0 * x1; });
    ExpectLaw(one);
  }
}

// p(x0 | x1 = 0.75).
TEST(GaussianRbmTest, ClampedUnitsAreGiven) {
  const GaussianRbm rbm;
  const DiscreteModel model =
      MakeModel("family: RBM rbm { visible: GAUSSIAN }", rbm.File());
  LawCase one;
  one.name = "clamped";
  one.model = &model;
  one.run.params.kind = TransitionKind::kGibbs;
  one.run.start = [](uint64_t) { return std::vector<float>{0, 0.75F}; };
  one.run.scale = {1, 0};
  one.chains = 4096;
  double sums[3] = {};
  for (double x = -9; x < 9; x += 1e-3) {
    const double p = rbm.Density(x, 0.75);
    sums[0] += p;
    sums[1] += p * x;
    sums[2] += p * x * x;
  }
  one.observables = {
      {"x0", sums[1] / sums[0], [](const float* x) { return double{x[0]}; }},
      {"x0^2", sums[2] / sums[0],
       [](const float* x) { return double{x[0]} * x[0]; }}};
  ExpectLaw(one);
}

}  // namespace
}  // namespace basin::testing
