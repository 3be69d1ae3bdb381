// The laws that transitions are held to.

#include <cmath>
#include <limits>
#include <numbers>
#include <utility>

#include "tests/core/sampler/chain_runner.h"
#include "tests/statistical/checks.h"

namespace basin::testing {
namespace {

Observable Power(int power, double expected) {
  return {"E x^" + std::to_string(power), expected,
          [power](const float* x) { return std::pow(double{*x}, power); }};
}

Observable Coordinate(int i, double expected) {
  return {"E x" + std::to_string(i), expected,
          [i](const float* x) { return double{x[i]}; }};
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

// The step of an exact transition for each of the laws that all must have.
struct ExactSteps {
  double narrow_wells;  // (h, b) = (2, 1)
  double far_wells;     // (h, b) = (1, 2)
  double correlated;
  double boxed;
  double wide_box;  // 64 dimensions, all of them with faces
  double cold;
  double wide;    // 100 dimensions
  double scaled;  // in lengths of the scale
  double funnel;
  double warm_potential;  // Mueller-Brown at kT = 20
  double cold_potential;  // at kT = 10
};

// Makes cases of one transition.
class ExactCases {
 public:
  ExactCases(const TransitionParams& params, std::vector<MomentCase>& cases)
      : params_(params), cases_(cases) {}

  void Add(const ExactSteps& steps) {
    AddWells(steps);
    AddCorrelated(steps);
    AddClamped(steps);
    AddBoxed(steps);
    AddWideBox(steps);
    AddCold(steps);
    AddWide(steps);
    AddScaled(steps);
    AddFunnel(steps);
    AddPotential("Mueller-Brown at kT 20", 0.05, steps.warm_potential,
                 {-0.42489368, 1.16508617, -113.41362697, 0.79953752});
    AddPotential("Mueller-Brown at kT 10", 0.1, steps.cold_potential,
                 {-0.54366443, 1.39451223, -134.93404405, 0.97428504});
  }

  // What makes the random walk with a covariance different.
  void AddWithFactor(double correlated, double boxed) {
    MomentCase& one = New("correlated Gaussian, factor", correlated,
                          [] { return MakeCorrelated(6); });
    // That of the law: covariance .7^|i - j|.
    one.factor.resize(36);
    for (int i = 0; i < 6; ++i) {
      for (int j = 0; j <= i; ++j) {
        one.factor[6 * i + j] = static_cast<float>(
            std::pow(0.7, i - j) * (j == 0 ? 1 : std::sqrt(1 - 0.7 * 0.7)));
      }
    }
    one.start = NormalStart(6, 0, 1);
    one.observables = {Power(1, 0), Product(0, 0, 1), Product(0, 1, 0.7),
                       Product(0, 5, std::pow(0.7, 5))};
    MomentCase& box = New("normal in a box, factor", boxed,
                          [] { return std::make_unique<HarmonicWell>(2, 1); });
    box.factor = {1, 0, 2, 0.5F};
    box.box = {-0.5, 1.5};
    box.start = NormalStart(2, 0.5, 0.1F);
    box.observables = TruncatedNormal(-0.5, 1.5);
  }

 private:
  using MakeEnergy = std::function<std::unique_ptr<RowEnergy>()>;

  static std::unique_ptr<RowEnergy> MakeCorrelated(int64_t dimension) {
    return std::make_unique<CorrelatedGaussian>(dimension, 0.7);
  }

  MomentCase& New(std::string name, double step_size, const MakeEnergy& make) {
    MomentCase one;
    one.name = std::move(name);
    one.kind = params_.kind;
    one.params = params_;
    one.params.step_size = step_size;
    const bool cheap = params_.kind == TransitionKind::kDelayedAcceptance;
    one.energy = [make, cheap] {
      std::unique_ptr<RowEnergy> energy = make();
      if (cheap) energy->SetSurrogate(std::make_unique<TiltedEnergy>(make()));
      return energy;
    };
    // Several leaps make a step longer.
    if (params_.leaps > 2) {
      one.burn_in = 60;
      one.steps = 90;
      one.keep_every = 1;
    }
    cases_.push_back(std::move(one));
    return cases_.back();
  }

  void AddWells(const ExactSteps& steps) {
    MomentCase& narrow = New("double well (2, 1)", steps.narrow_wells,
                             [] { return std::make_unique<DoubleWell>(2, 1); });
    // Not farther out: MALA is stuck where the slope throws it over the wells.
    narrow.start = BothWells(1);
    narrow.observables = {Power(1, 0),
                          Power(2, 0.8521361522),
                          Power(4, 0.9771361522),
                          {"E |x|", 0.8680900926, [](const float* x) {
                             return std::abs(double{*x});
                           }}};
    // No chain crosses its barrier of 16, so only even moments are looked at,
    // which are the same in both wells.
    MomentCase& far = New("double well (1, 2)", steps.far_wells,
                          [] { return std::make_unique<DoubleWell>(1, 2); });
    far.start = BothWells(2);
    far.observables = {Power(2, 3.9341046423)};
  }

  void AddCorrelated(const ExactSteps& steps) {
    MomentCase& one = New("correlated Gaussian", steps.correlated,
                          [] { return MakeCorrelated(6); });
    one.start = NormalStart(6, 0, 1);
    one.observables = {Power(1, 0), Product(0, 0, 1), Product(2, 2, 1),
                       Product(0, 1, 0.7), Product(0, 5, std::pow(0.7, 5))};
  }

  // x1 = 1 and x4 = -1/2 are given. x0 depends on x1 alone; the law of x2 and
  // x3 has the tridiagonal precision matrix's block, [[a, -r], [-r, a]] /
  // (1 - r^2) with a = 1 + r^2.
  void AddClamped(const ExactSteps& steps) {
    MomentCase& one = New("correlated Gaussian, clamped", steps.correlated,
                          [] { return MakeCorrelated(6); });
    one.scale = {1, 0, 1, 1, 0, 1};
    const auto normal = NormalStart(6, 0, 1);
    one.start = [normal](uint64_t chain) {
      std::vector<float> x = normal(chain);
      x[1] = 1;
      x[4] = -0.5F;
      return x;
    };
    const double r = 0.7;
    const double a = 1 + r * r;
    const double c = 1 / (a * a - r * r);
    const double mean2 = r * c * (a * 1 + r * -0.5);
    const double mean3 = r * c * (r * 1 + a * -0.5);
    const double variance = (1 - r * r) * a * c;
    const double covariance = (1 - r * r) * r * c;
    one.observables = {Power(1, r),
                       Product(0, 0, 1 - r * r + r * r),
                       Product(2, 4, -0.5 * mean2),
                       Product(3, 1, mean3),
                       Product(2, 2, variance + mean2 * mean2),
                       Product(2, 3, covariance + mean2 * mean3)};
  }

  void AddBoxed(const ExactSteps& steps) {
    MomentCase& one = New("normal in a box", steps.boxed,
                          [] { return std::make_unique<HarmonicWell>(1, 1); });
    one.box = {-0.5, 1.5};
    one.start = NormalStart(1, 0.5, 0.1F);
    one.observables = TruncatedNormal(-0.5, 1.5);
  }

  // Hardly a move leaves none of the coordinates outside.
  void AddWideBox(const ExactSteps& steps) {
    static constexpr int64_t kDimension = 64;
    MomentCase& one =
        New("normal in a box of 64 dimensions", steps.wide_box,
            [] { return std::make_unique<HarmonicWell>(kDimension, 1); });
    one.box = {-0.5, 1.5};
    one.start = NormalStart(kDimension, 0.5, 0.2F);
    one.chains = 512;
    const std::vector<Observable> law = TruncatedNormal(-0.5, 1.5);
    const double mean = law[0].expected;
    one.observables = {law[0], Product(0, 63, mean * mean),
                       MeanSquare(kDimension, law[1].expected)};
  }

  // E = 3/2 x^2 at beta = 4: variance 1/12.
  void AddCold(const ExactSteps& steps) {
    MomentCase& one = New("beta 4", steps.cold,
                          [] { return std::make_unique<HarmonicWell>(1, 3); });
    one.inverse_temperature = 4;
    one.start = NormalStart(1, 0, 0.3F);
    one.observables = {Power(1, 0), Power(2, 1.0 / 12), Power(4, 3.0 / 144)};
  }

  void AddWide(const ExactSteps& steps) {
    MomentCase& one = New("correlated Gaussian in 100 dimensions", steps.wide,
                          [] { return MakeCorrelated(100); });
    const auto normal = NormalStart(100, 0, 1);
    one.start = [normal](uint64_t chain) {  // the law itself
      std::vector<float> x = normal(chain);
      for (size_t i = 1; i < x.size(); ++i) {
        x[i] = 0.7F * x[i - 1] + std::sqrt(1 - 0.49F) * x[i];
      }
      return x;
    };
    one.chains = 1024;
    one.burn_in = one.burn_in / 2;
    one.steps = one.steps / 2;
    one.observables = {Product(0, 0, 1), Product(50, 50, 1),
                       Product(50, 51, 0.7), Product(98, 99, 0.7),
                       Product(0, 50, std::pow(0.7, 50))};
  }

  // Standard deviations 1/10, 1 and 10, the first and last cut off by faces of
  // their own.
  void AddScaled(const ExactSteps& steps) {
    MomentCase& one = New("scales, faces of each coordinate", steps.scaled, [] {
      return std::make_unique<ScaledGaussian>(std::vector<float>{0.1F, 1, 10});
    });
    one.scale = {0.16F, 1, 6};
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    one.lower = {-0.05F, -kInfinity, -20};
    one.upper = {0.15F, kInfinity, 10};
    const auto normal = NormalStart(3, 0, 0.1F);
    one.start = [normal](uint64_t chain) {
      std::vector<float> x = normal(chain);
      x[0] = 0.05F + 0.1F * x[0];
      x[1] *= 10;
      x[2] *= 40;
      return x;
    };
    const std::vector<Observable> first = TruncatedNormal(-0.5, 1.5);
    const std::vector<Observable> last = TruncatedNormal(-2, 1);
    one.observables = {Power(1, 0.1 * first[0].expected),
                       Power(2, 0.01 * first[1].expected), Product(1, 1, 1),
                       Product(2, 2, 100 * last[1].expected)};
  }

  // From the law itself: no transition of one step size goes through the neck.
  void AddFunnel(const ExactSteps& steps) {
    MomentCase& one = New("Neal's funnel", steps.funnel,
                          [] { return std::make_unique<Funnel>(3); });
    const auto normal = NormalStart(3, 0, 1);
    one.start = [normal](uint64_t chain) {
      std::vector<float> x = normal(chain);
      x[0] *= 3;
      x[1] *= std::exp(x[0] / 2);
      x[2] *= std::exp(x[0] / 2);
      return x;
    };
    one.observables = {
        Power(1, 0),
        Power(2, 9),
        {"E x1^2 exp(-v)", 1,
         [](const float* x) { return std::exp(-double{x[0]}) * x[1] * x[1]; }},
        {"P(x1 x2 > 0)", 0.5,
         [](const float* x) { return x[1] * x[2] > 0 ? 1.0 : 0.0; }}};
  }

  struct PotentialMeans {
    double x, y, v, upper_share;
  };
  void AddPotential(std::string name, double beta, double step_size,
                    const PotentialMeans& means) {
    MomentCase& one = New(std::move(name), step_size,
                          [] { return std::make_unique<MuellerBrown>(); });
    one.inverse_temperature = beta;
    const auto normal = NormalStart(2, 0, 0.03F);
    const double share = means.upper_share;
    one.start = [normal, share](uint64_t chain) {
      std::vector<float> x = normal(chain);
      const bool upper = std::fmod(0.6180339887 * chain, 1) < share;
      x[0] += upper ? -0.558F : 0.623F;
      x[1] += upper ? 1.442F : 0.028F;
      return x;
    };
    one.burn_in *= 5;  // the way to the third minimum
    one.observables = {Power(1, means.x),
                       Coordinate(1, means.y),
                       {"P(y > 3/4)", share,
                        [](const float* x) { return x[1] > 0.75F ? 1 : 0; }},
                       {"E V", means.v, [](const float* x) {
                          double energy = 0;
                          MuellerBrown().Energy(1, x, &energy).IgnoreError();
                          return energy;
                        }}};
  }

  const TransitionParams params_;
  std::vector<MomentCase>& cases_;
};

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

// BAOAB has the exact variance in a harmonic well, whatever the step.
void AddUnderdampedCases(std::vector<MomentCase>& cases) {
  TransitionParams params = {.kind = TransitionKind::kUnderdamped,
                             .step_size = 0.5};
  for (const double friction : {0.5, 2.0}) {
    params.friction = friction;
    cases.push_back(HarmonicCase(params, 1, 1, 1, 1024));
    cases.back().name = "N(0, 1), friction " + std::to_string(friction);
  }
  params.step_size = 0.4;
  cases.push_back(HarmonicCase(params, 2, 3, 1.0 / 6, 1024));
  cases.back().name = "beta 3";
  // Without a force the law in a box is uniform.
  cases.push_back(HarmonicCase(params, 0, 1, 3.5 / 6, 512));
  cases.back().name = "flat in a box";
  cases.back().box = {-0.5, 1.5};
  cases.back().start = NormalStart(kWide, 0.5, 0.2F);
}

void AddExactCases(std::vector<MomentCase>& cases) {
  ExactCases({.kind = TransitionKind::kMala}, cases)
      .Add({.narrow_wells = 0.05,
            .far_wells = 0.025,
            .correlated = 0.2,
            .boxed = 0.3,
            .wide_box = 0.2,
            .cold = 0.06,
            .wide = 0.1,
            .scaled = 0.3,
            .funnel = 0.1,
            .warm_potential = 0.0012,
            .cold_potential = 0.0008});
  ExactCases walk({.kind = TransitionKind::kRandomWalk}, cases);
  walk.Add({.narrow_wells = 0.7,
            .far_wells = 0.5,
            .correlated = 0.5,
            .boxed = 1.2,
            .wide_box = 0.2,
            .cold = 0.6,
            .wide = 0.15,
            .scaled = 0.9,
            .funnel = 1,
            .warm_potential = 0.12,
            .cold_potential = 0.09});
  walk.AddWithFactor(0.9, 0.5);
  ExactCases({.kind = TransitionKind::kDelayedAcceptance, .leaps = 4}, cases)
      .Add({.narrow_wells = 0.7,
            .far_wells = 0.5,
            .correlated = 0.5,
            .boxed = 1.2,
            .wide_box = 0.2,
            .cold = 0.6,
            .wide = 0.1,
            .scaled = 0.9,
            .funnel = 1,
            .warm_potential = 0.12,
            .cold_potential = 0.09});
}

void AddHamiltonianCases(std::vector<MomentCase>& cases) {
  ExactCases({.kind = TransitionKind::kHmc, .leaps = 6, .jitter = 0.5}, cases)
      .Add({.narrow_wells = 0.3,
            .far_wells = 0.2,
            .correlated = 0.5,
            .boxed = 0.5,
            .wide_box = 0.25,
            .cold = 0.25,
            .wide = 0.3,
            .scaled = 0.5,
            .funnel = 0.3,
            .warm_potential = 0.045,
            .cold_potential = 0.035});
  ExactCases({.kind = TransitionKind::kUnderdampedMetropolis, .leaps = 2},
             cases)
      .Add({.narrow_wells = 0.35,
            .far_wells = 0.25,
            .correlated = 0.6,
            .boxed = 0.6,
            .wide_box = 0.25,
            .cold = 0.35,
            .wide = 0.35,
            .scaled = 0.6,
            .funnel = 0.4,
            .warm_potential = 0.045,
            .cold_potential = 0.035});
}

std::vector<MomentCase> MakeCases() {
  std::vector<MomentCase> cases;
  AddExactCases(cases);
  AddHamiltonianCases(cases);
  AddUlaCases(cases);
  AddRecipeCases(cases);
  AddUnderdampedCases(cases);
  return cases;
}

}  // namespace

const std::vector<MomentCase>& AllCases() {
  static const auto* const cases = new std::vector<MomentCase>(MakeCases());
  return *cases;
}

}  // namespace basin::testing
