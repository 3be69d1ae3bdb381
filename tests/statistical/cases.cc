// The laws that transitions are held to.

#include <cmath>
#include <numbers>

#include "tests/core/sampler/chain_runner.h"
#include "tests/statistical/checks.h"

namespace basin::testing {
namespace {

Observable Power(int power, double expected) {
  return {"E x^" + std::to_string(power), expected,
          [power](const float* x) { return std::pow(double{*x}, power); }};
}

Observable Product(int i, int j, double expected) {
  return {"E x" + std::to_string(i) + " x" + std::to_string(j), expected,
          [i, j](const float* x) { return double{x[i]} * x[j]; }};
}

// The mean of x_i^2 over the coordinates.
Observable MeanSquare(int64_t dimension, double expected) {
  return {"E x^2", expected, [dimension](const float* x) {
            float sum[16] = {};  // several, so that the loop is vectorised
            for (int64_t i = 0; i < dimension; i += 16) {
              for (int64_t l = 0; l < 16; ++l) sum[l] += x[i + l] * x[i + l];
            }
            double total = 0;
            for (const float s : sum) total += s;
            return total / static_cast<double>(dimension);
          }};
}

// The wells at +-b with a little noise, half of the chains in each.
std::function<std::vector<float>(uint64_t)> BothWells(float b) {
  const auto normal = NormalStart(1, 0, 0.2F);
  return [=](uint64_t chain) {
    std::vector<float> state = normal(chain);
    state[0] += chain % 2 == 0 ? b : -b;
    return state;
  };
}

double Density(double x) {
  return std::exp(-x * x / 2) / std::sqrt(2 * std::numbers::pi);
}

// N(0, 1) restricted to [a, b].
std::vector<Observable> TruncatedNormal(double a, double b) {
  const double z = 0.5 * (std::erf(b / std::numbers::sqrt2) -
                          std::erf(a / std::numbers::sqrt2));
  return {Power(1, (Density(a) - Density(b)) / z),
          Power(2, 1 + (a * Density(a) - b * Density(b)) / z)};
}

// What exact transitions must get right, with a step size for each case.
struct ExactSteps {
  double narrow_wells;  // (h, b) = (2, 1)
  double far_wells;     // (h, b) = (1, 2)
  double correlated;
  double boxed;
  double cold;
};

std::vector<MomentCase> ExactCases(TransitionKind kind,
                                   const ExactSteps& steps) {
  MomentCase base;
  base.kind = kind;
  base.params.kind = kind;
  std::vector<MomentCase> cases(5, base);

  cases[0].name = "double well (2, 1)";
  cases[0].params.step_size = steps.narrow_wells;
  cases[0].energy = [] { return std::make_unique<DoubleWell>(2, 1); };
  // Not farther out: MALA is stuck where the slope throws it over the wells.
  cases[0].start = BothWells(1);
  cases[0].observables = {Power(1, 0),
                          Power(2, 0.8521361522),
                          Power(4, 0.9771361522),
                          {"E |x|", 0.8680900926, [](const float* x) {
                             return std::abs(double{*x});
                           }}};
  // No chain crosses its barrier of 16, so only even moments are looked at,
  // which are the same in both wells.
  cases[1].name = "double well (1, 2)";
  cases[1].params.step_size = steps.far_wells;
  cases[1].energy = [] { return std::make_unique<DoubleWell>(1, 2); };
  cases[1].start = BothWells(2);
  cases[1].observables = {Power(2, 3.9341046423)};

  cases[2].name = "correlated Gaussian";
  cases[2].params.step_size = steps.correlated;
  cases[2].energy = [] { return std::make_unique<CorrelatedGaussian>(6, 0.7); };
  cases[2].start = NormalStart(6, 0, 1);
  cases[2].observables = {Power(1, 0), Product(0, 0, 1), Product(2, 2, 1),
                          Product(0, 1, 0.7), Product(0, 5, std::pow(0.7, 5))};

  cases[3].name = "normal in a box";
  cases[3].params.step_size = steps.boxed;
  cases[3].box = {-0.5, 1.5};
  cases[3].energy = [] { return std::make_unique<HarmonicWell>(1, 1); };
  cases[3].start = NormalStart(1, 0.5, 0.1F);
  cases[3].observables = TruncatedNormal(-0.5, 1.5);

  // E = 3/2 x^2 at beta = 4: variance 1/12.
  cases[4].name = "beta 4";
  cases[4].params.step_size = steps.cold;
  cases[4].inverse_temperature = 4;
  cases[4].energy = [] { return std::make_unique<HarmonicWell>(1, 3); };
  cases[4].start = NormalStart(1, 0, 0.3F);
  cases[4].observables = {Power(1, 0), Power(2, 1.0 / 12), Power(4, 3.0 / 144)};
  return cases;
}

// E = k/2 |x|^2 in 64 dimensions: 64 independent chains in each.
constexpr int64_t kWide = 64;

MomentCase HarmonicCase(const TransitionParams& params, float k, double beta,
                        double variance, int chains) {
  MomentCase one;
  one.kind = params.kind;
  one.params = params;
  one.inverse_temperature = beta;
  one.energy = [k] { return std::make_unique<HarmonicWell>(kWide, k); };
  // In the law that the chains must keep.
  one.start = NormalStart(kWide, 0, static_cast<float>(std::sqrt(variance)));
  one.chains = chains;
  one.burn_in = 100;
  one.steps = 300;
  one.observables = {MeanSquare(kWide, variance)};
  return one;
}

// Variance of x' = (1 - drift) x + s xi.
double DriftThenNoise(double drift, double s) {
  return s * s / (1 - (1 - drift) * (1 - drift));
}

void AddUlaCases(std::vector<MomentCase>& cases) {
  for (const double epsilon : {0.5, 0.1, 0.01}) {
    const TransitionParams params = {.kind = TransitionKind::kUla,
                                     .step_size = epsilon};
    // Small steps are correlated, and little is to be seen.
    cases.push_back(HarmonicCase(params, 1, 1, 1 / (1 - epsilon / 2),
                                 epsilon < 0.1 ? 16384 : 1024));
    cases.back().name = "N(0, 1), step " + std::to_string(epsilon);
  }
  const TransitionParams params = {.kind = TransitionKind::kUla,
                                   .step_size = 0.1};
  cases.push_back(HarmonicCase(
      params, 2, 3, DriftThenNoise(0.1 * 2 * 3, std::sqrt(0.2)), 1024));
  cases.back().name = "beta 3";
}

void AddRecipeCases(std::vector<MomentCase>& cases) {
  for (const double beta : {1.0, 2.0}) {
    TransitionParams params = {
        .kind = TransitionKind::kJem, .step_size = 0.1, .noise_std = 0.3};
    const double kept = 1 - 0.1 * 3 * beta;
    const double variance = DriftThenNoise(1 - kept, 0.3);
    cases.push_back(HarmonicCase(params, 3, beta, variance, 1024));
    cases.back().name = "drift then noise, beta " + std::to_string(beta);
    params.kind = TransitionKind::kIgebm;
    cases.push_back(
        HarmonicCase(params, 3, beta, variance * kept * kept, 1024));
    cases.back().name = "noise then drift, beta " + std::to_string(beta);
  }
}

std::vector<MomentCase> MakeCases() {
  std::vector<MomentCase> cases =
      ExactCases(TransitionKind::kMala, {.narrow_wells = 0.05,
                                         .far_wells = 0.025,
                                         .correlated = 0.2,
                                         .boxed = 0.3,
                                         .cold = 0.06});
  for (MomentCase& one :
       ExactCases(TransitionKind::kRandomWalk, {.narrow_wells = 0.7,
                                               .far_wells = 0.5,
                                               .correlated = 0.5,
                                               .boxed = 1.2,
                                               .cold = 0.6})) {
    cases.push_back(std::move(one));
  }
  AddUlaCases(cases);
  AddRecipeCases(cases);
  return cases;
}

}  // namespace

const std::vector<MomentCase>& AllCases() {
  static const auto* const cases = new std::vector<MomentCase>(MakeCases());
  return *cases;
}

}  // namespace basin::testing
