#include "core/sampler/diagnostics.h"

#include <cmath>
#include <limits>
#include <numeric>
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
    if (pair <= 0) break;
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

TEST(DiagnosticsTest, UndefinedWithoutEnoughVaryingDraws) {
  const ChainTraces cases[] = {
      {},
      {.chains = 0, .draws = 10, .quantities = 1, .values = {}},
      {.chains = 2, .draws = 3, .quantities = 1, .values = {1, 2, 3, 4, 5, 6}},
      {.chains = 2,
       .draws = 4,
       .quantities = 1,
       .values = {1, 1, 1, 1, 2, 2, 2, 2}},
  };
  for (const ChainTraces& traces : cases) {
    EXPECT_TRUE(std::isnan(Diagnose(traces).max_rhat));
    EXPECT_TRUE(std::isnan(Diagnose(traces).min_ess));
  }
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
  EXPECT_EQ(worst.max_rhat, SplitRhat(bad, 0));
  EXPECT_EQ(worst.min_ess, EffectiveSampleSize(bad, 0));
}

}  // namespace
}  // namespace basin
