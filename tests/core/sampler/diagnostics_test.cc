#include "core/sampler/diagnostics.h"

#include <cmath>
#include <limits>
#include <numeric>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "core/base/normal.h"
#include "core/base/philox.h"

namespace basin {
namespace {

double Normal(uint64_t chain, uint64_t draw) {
  return NormalsOf(Philox(11, DrawCounter(0, chain, draw, 0))).value[0];
}

// Chains of x' = rho x + sqrt(1 - rho^2) xi, started in their stationary law
// N(0, 1); `shift` is added to every second chain.
ChainTraces Autoregression(int64_t chains, int64_t draws, double rho,
                           double shift = 0) {
  ChainTraces traces{
      .chains = chains, .draws = draws, .quantities = 1, .values = {}};
  for (int64_t c = 0; c < chains; ++c) {
    double x = Normal(c, 0);
    for (int64_t d = 0; d < draws; ++d) {
      traces.values.push_back(static_cast<float>(x + (c % 2 == 0 ? 0 : shift)));
      x = rho * x + std::sqrt(1 - rho * rho) * Normal(c, d + 1);
    }
  }
  return traces;
}

// ESS from its definition, without Fourier transforms.
double ReferenceEss(const ChainTraces& traces) {
  const int64_t n = traces.draws / 2;
  std::vector<std::vector<double>> halves;
  for (int64_t c = 0; c < traces.chains; ++c) {
    const auto chain = traces.values.begin() + c * traces.draws;
    halves.emplace_back(chain, chain + n);
    halves.emplace_back(chain + traces.draws - n, chain + traces.draws);
  }
  const auto m = static_cast<double>(halves.size());
  std::vector<double> means;
  std::vector<double> covariance(n);
  for (const auto& half : halves) {
    const double mean = std::accumulate(half.begin(), half.end(), 0.0) / n;
    means.push_back(mean);
    for (int64_t t = 0; t < n; ++t) {
      for (int64_t i = 0; i + t < n; ++i) {
        covariance[t] += (half[i] - mean) * (half[i + t] - mean) / n / m;
      }
    }
  }
  const double within = covariance[0] * n / (n - 1.0);
  const double grand = std::accumulate(means.begin(), means.end(), 0.0) / m;
  double total = covariance[0];
  for (const double mean : means) {
    total += (mean - grand) * (mean - grand) / (m - 1);
  }
  double tau = -1;
  double last = std::numeric_limits<double>::infinity();
  for (int64_t t = 0; t + 1 < n; t += 2) {
    const double even = t == 0 ? 1 : 1 - (within - covariance[t]) / total;
    const double pair = even + 1 - (within - covariance[t + 1]) / total;
    if (pair <= 0) {
      tau += std::max(even, 0.0);
      break;
    }
    last = std::min(last, pair);
    tau += 2 * last;
  }
  return m * n / std::max(tau, 1 / std::log10(m * n));
}

TEST(DiagnosticsTest, RhatByHand) {
  // Halves 1 2 | 3 4 and 5 7 | 2 2: means 1.5 3.5 6 2, variances .5 .5 2 0.
  // W = .75, B/N = var(means) = 12.25 / 3; N = 2.
  const ChainTraces traces{.chains = 2,
                           .draws = 4,
                           .quantities = 1,
                           .values = {1, 2, 3, 4, 5, 7, 2, 2}};
  EXPECT_NEAR(SplitRhat(traces, 0), std::sqrt((0.5 * 0.75 + 12.25 / 3) / 0.75),
              1e-12);
}

TEST(DiagnosticsTest, RhatSkipsTheMiddleOfAnOddCount) {
  const ChainTraces even{
      .chains = 1, .draws = 4, .quantities = 1, .values = {1, 3, 2, 7}};
  const ChainTraces odd{
      .chains = 1, .draws = 5, .quantities = 1, .values = {1, 3, 99, 2, 7}};
  EXPECT_EQ(SplitRhat(odd, 0), SplitRhat(even, 0));
}

TEST(DiagnosticsTest, RhatIsOneForIndependentDraws) {
  EXPECT_NEAR(SplitRhat(Autoregression(8, 4000, 0), 0), 1, 1e-3);
}

TEST(DiagnosticsTest, RhatSeesChainsThatDisagree) {
  // Half of the chains are shifted by 2: total variance 1 + 2^2 / 4 * M/(M-1).
  const double m = 16;
  EXPECT_NEAR(SplitRhat(Autoregression(8, 4000, 0, /*shift=*/2), 0),
              std::sqrt(1 + m / (m - 1)), 0.02);
}

TEST(DiagnosticsTest, RhatSeesAChainThatDrifts) {
  ChainTraces traces{.chains = 1, .draws = 1000, .quantities = 1, .values = {}};
  for (int i = 0; i < 1000; ++i) {
    traces.values.push_back(static_cast<float>(Normal(0, i) + 0.01 * i));
  }
  EXPECT_GT(SplitRhat(traces, 0), 1.5);
}

TEST(DiagnosticsTest, EssOfAutoregressionsIsKnown) {
  for (const double rho : {-0.5, 0.0, 0.5, 0.9}) {
    const double draws = 8 * 20000;
    const double expected = draws * (1 - rho) / (1 + rho);
    EXPECT_NEAR(EffectiveSampleSize(Autoregression(8, 20000, rho), 0) /
                    std::min(expected, draws * std::log10(draws)),
                1, 0.1)
        << rho;
  }
}

TEST(DiagnosticsTest, EssIsItsDefinition) {
  for (const int64_t draws : {4, 5, 6, 31, 64, 100, 257}) {
    for (const double rho : {-0.9, 0.0, 0.7, 0.97}) {
      for (const int64_t chains : {1, 3}) {
        const ChainTraces traces = Autoregression(chains, draws, rho);
        const double expected = ReferenceEss(traces);
        EXPECT_NEAR(EffectiveSampleSize(traces, 0) / expected, 1, 1e-9)
            << draws << " " << rho << " " << chains;
      }
    }
  }
}

// Knuth's 64-bit linear congruential generator, as in make_diagnostics.py:
// multiples of 2^-24 in [0, 1).
class Uniforms {
 public:
  double operator()() {
    state_ = state_ * 6364136223846793005U + 1442695040888963407U;
    return static_cast<double>(state_ >> 40) * 0x1p-24;
  }

 private:
  uint64_t state_ = 1;
};

// One draw of the laws of make_diagnostics.py.
double Draw(std::string_view law, int64_t chain, double previous, double u) {
  if (law == "independent") return u;
  if (law == "autoregressive") return 0.875 * previous + (u - 0.5);
  if (law == "antithetic") return -0.5 * previous + (u - 0.5);
  if (law == "shifted") return u + 0.25 * static_cast<double>(chain);
  const double v = 2 * u - 1;
  if (law == "scaled") return v * static_cast<double>(1 + chain);
  if (law == "heavy_tailed") return u > 0 ? v / (1 - std::abs(v)) : 0;
  return std::floor(20 * u * u * u);  // "ties"
}

ChainTraces TracesOf(std::string_view law, int64_t chains, int64_t draws) {
  ChainTraces traces{
      .chains = chains, .draws = draws, .quantities = 1, .values = {}};
  Uniforms uniform;
  for (int64_t c = 0; c < chains; ++c) {
    double x = 0;
    for (int64_t d = 0; d < draws; ++d) {
      x = Draw(law, c, x, uniform());
      traces.values.push_back(static_cast<float>(x));
    }
  }
  return traces;
}

struct Golden {
  std::string_view law;
  int64_t chains;
  int64_t draws;
  double split_rhat;
  double rank_rhat;
  double mean_ess;
  double bulk_ess;
  double tail_ess;
};

// Printed by tests/data/make_diagnostics.py.
constexpr Golden kArviz[] = {
    {"independent", 4, 100, 0.995843753443, 1.00257994263, 479.802932098,
     450.167536809, 416.067586901},
    {"autoregressive", 4, 500, 1.01442281933, 1.01407386867, 158.706576135,
     162.160199158, 340.632166679},
    {"autoregressive", 1, 64, 1.44302836824, 1.42061507096, 2.33758329556,
     2.37894703948, 17.7750402464},
    {"autoregressive", 3, 333, 1.00490266789, 1.01022459448, 101.223895147,
     101.290218389, 224.57604486},
    {"antithetic", 4, 200, 0.995725119565, 0.997589315186, 2322.47198959,
     2322.47198959, 898.398032363},
    {"shifted", 4, 100, 1.46316724315, 1.44816623079, 8.4689075954,
     8.64730992176, 39.1948517718},
    {"scaled", 4, 200, 0.997546405286, 1.23265747606, 874.269844029,
     877.02067512, 60.3322660948},
    {"heavy_tailed", 4, 500, 0.999038154199, 1.00028120107, 2001.19031943,
     2018.93754455, 1999.73219148},
    {"ties", 4, 100, 0.995201131878, 1.00171786585, 499.652667015,
     515.819872397, 443.318143774},
};

// ArviZ leaves out the last pair of lags. Only chains that do not mix get
// there: we have fewer effective draws of them.
void ExpectEss(double ess, double arviz) {
  if (arviz < 100) {
    EXPECT_LE(ess, arviz);
    EXPECT_GE(ess, 0.9 * arviz);
  } else {
    EXPECT_NEAR(ess / arviz, 1, 1e-8);
  }
}

TEST(DiagnosticsTest, AgreesWithArviz) {
  for (const Golden& golden : kArviz) {
    const ChainTraces traces =
        TracesOf(golden.law, golden.chains, golden.draws);
    SCOPED_TRACE(testing::Message() << golden.law << " " << golden.draws);
    EXPECT_NEAR(SplitRhat(traces, 0) / golden.split_rhat, 1, 1e-9);
    EXPECT_NEAR(RankRhat(traces, 0) / golden.rank_rhat, 1, 1e-9);
    ExpectEss(EffectiveSampleSize(traces, 0), golden.mean_ess);
    ExpectEss(BulkEss(traces, 0), golden.bulk_ess);
    ExpectEss(TailEss(traces, 0), golden.tail_ess);
  }
}

// Bulk ESS averaged over independent runs: tau = (1 + rho) / (1 - rho).
TEST(DiagnosticsTest, BulkEssOfAutoregressionsIsKnown) {
  for (const double rho : {-0.3, 0.0, 0.6, 0.9}) {
    constexpr int64_t kRuns = 20;
    const ChainTraces all = Autoregression(4 * kRuns, 2000, rho);
    double mean_tau = 0;
    for (int64_t run = 0; run < kRuns; ++run) {
      ChainTraces traces{
          .chains = 4, .draws = 2000, .quantities = 1, .values = {}};
      traces.values.assign(all.values.begin() + run * 8000,
                           all.values.begin() + (run + 1) * 8000);
      mean_tau += 8000 / BulkEss(traces, 0) / kRuns;
    }
    EXPECT_NEAR(mean_tau * (1 - rho) / (1 + rho), 1, 0.1) << rho;
  }
}

TEST(DiagnosticsTest, RanksSeeWhatMomentsMiss) {
  // Equal means, scales 1 and 3.
  ChainTraces scales = Autoregression(4, 1000, 0);
  for (size_t i = 2000; i < 4000; ++i) scales.values[i] *= 3;
  EXPECT_LT(SplitRhat(scales, 0), 1.01);
  EXPECT_GT(RankRhat(scales, 0), 1.1);
  // Cauchy draws, half of the chains shifted: their variance hides it.
  ChainTraces cauchy = Autoregression(4, 1000, 0);
  for (int64_t i = 0; i < 4000; ++i) {
    cauchy.values[i] /= static_cast<float>(Normal(9, i));
    if (i >= 2000) cauchy.values[i] += 2;
  }
  EXPECT_LT(SplitRhat(cauchy, 0), 1.02);
  EXPECT_GT(RankRhat(cauchy, 0), 1.05);
}

TEST(DiagnosticsTest, RanksSurviveMonotoneMaps) {
  const ChainTraces traces = Autoregression(4, 500, 0.5);
  ChainTraces mapped = traces;
  for (float& value : mapped.values) value = 8 * value * value * value;
  EXPECT_EQ(BulkEss(mapped, 0), BulkEss(traces, 0));
  EXPECT_NEAR(TailEss(mapped, 0), TailEss(traces, 0), 1e-9);
}

TEST(DiagnosticsTest, CoinsHaveOneTail) {
  ChainTraces coin = Autoregression(4, 500, 0);
  for (float& value : coin.values) value = value > 0 ? 1 : 0;
  EXPECT_NEAR(RankRhat(coin, 0), SplitRhat(coin, 0), 1e-9);
  EXPECT_NEAR(TailEss(coin, 0) / BulkEss(coin, 0), 1, 1e-9);
}

TEST(DiagnosticsTest, UndefinedWithoutEnoughVaryingDraws) {
  const ChainTraces cases[] = {
      {},
      {.chains = 0, .draws = 10, .quantities = 1, .values = {}},
      {.chains = 2, .draws = 3, .quantities = 1, .values = {1, 2, 3, 4, 5, 6}},
      {.chains = 2,
       .draws = 4,
       .quantities = 1,
       .values = {.1F, .1F, .1F, .1F, .1F, .1F, .1F, .1F}},
  };
  for (const ChainTraces& traces : cases) {
    EXPECT_TRUE(std::isnan(Diagnose(traces).max_rhat));
    EXPECT_TRUE(std::isnan(Diagnose(traces).max_split_rhat));
    EXPECT_TRUE(std::isnan(Diagnose(traces).min_bulk_ess));
    EXPECT_TRUE(std::isnan(Diagnose(traces).min_tail_ess));
  }
}

// Chains that stand still apart from each other have not mixed: no undefined
// value may let them pass.
TEST(DiagnosticsTest, FrozenChainsHaveNotMixed) {
  ChainTraces traces{.chains = 4, .draws = 100, .quantities = 1, .values = {}};
  for (int i = 0; i < 400; ++i) {
    traces.values.push_back(static_cast<float>(i / 100));
  }
  EXPECT_GT(SplitRhat(traces, 0), 1e6);
  EXPECT_GT(RankRhat(traces, 0), 1e6);
  EXPECT_LT(EffectiveSampleSize(traces, 0), 10);
  EXPECT_LT(BulkEss(traces, 0), 10);
}

TEST(DiagnosticsTest, DivergedChainsAreLeftOut) {
  ChainTraces traces = Autoregression(4, 100, 0.5);
  const double rhat = SplitRhat(traces, 0);
  const double ess = EffectiveSampleSize(traces, 0);
  traces.chains = 6;
  traces.values.resize(600, std::numeric_limits<float>::quiet_NaN());
  traces.values[450] = std::numeric_limits<float>::infinity();
  EXPECT_EQ(SplitRhat(traces, 0), rhat);
  EXPECT_EQ(EffectiveSampleSize(traces, 0), ess);
}

TEST(DiagnosticsTest, HugeValuesStayFinite) {
  ChainTraces traces = Autoregression(2, 50, 0);
  const double rhat = SplitRhat(traces, 0);
  for (float& value : traces.values) value *= 1e37F;
  EXPECT_NEAR(SplitRhat(traces, 0), rhat, 1e-5);
  EXPECT_TRUE(std::isfinite(EffectiveSampleSize(traces, 0)));
}

TEST(DiagnosticsTest, DiagnoseTakesTheWorstQuantity) {
  const ChainTraces good = Autoregression(4, 200, 0);
  const ChainTraces bad = Autoregression(4, 200, 0.9, /*shift=*/1);
  ChainTraces traces{.chains = 4, .draws = 200, .quantities = 3, .values = {}};
  for (size_t i = 0; i < good.values.size(); ++i) {
    traces.values.push_back(good.values[i]);
    traces.values.push_back(bad.values[i]);
    traces.values.push_back(7);  // does not vary
  }
  const Diagnostics worst = Diagnose(traces);
  EXPECT_EQ(worst.max_rhat, RankRhat(bad, 0));
  EXPECT_EQ(worst.max_split_rhat, SplitRhat(bad, 0));
  EXPECT_EQ(worst.min_bulk_ess, BulkEss(bad, 0));
  EXPECT_EQ(worst.min_tail_ess, TailEss(bad, 0));
}

}  // namespace
}  // namespace basin
