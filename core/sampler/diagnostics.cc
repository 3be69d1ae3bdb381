#include "core/sampler/diagnostics.h"

#include <algorithm>
#include <cmath>
#include <complex>
#include <limits>
#include <numeric>
#include <unsupported/Eigen/FFT>

#include "core/base/check.h"

namespace basin {
namespace {

constexpr double kUndefined = std::numeric_limits<double>::quiet_NaN();
constexpr int64_t kMinDraws = 4;

// Half chains of equal length N, minus their means.
struct SplitChains {
  int64_t length = 0;                        // N
  std::vector<std::vector<double>> centred;  // [M][N]
  std::vector<double> means;                 // [M]
};

double Mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) /
         static_cast<double>(values.size());
}

// Variance with divisor n - 1. REQUIRES: at least two values.
double Variance(const std::vector<double>& values) {
  const double mean = Mean(values);
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  return squares / static_cast<double>(values.size() - 1);
}

// Cuts every chain in half, the middle draw of an odd count left out. Leaves
// out chains with a value that is not finite.
SplitChains Split(const ChainTraces& traces, int64_t quantity) {
  BASIN_CHECK(quantity >= 0 && quantity < traces.quantities);
  BASIN_CHECK(static_cast<int64_t>(traces.values.size()) ==
              traces.chains * traces.draws * traces.quantities);
  SplitChains split;
  split.length = traces.draws / 2;
  if (traces.draws < kMinDraws) return split;
  std::vector<double> chain(traces.draws);
  for (int64_t c = 0; c < traces.chains; ++c) {
    for (int64_t d = 0; d < traces.draws; ++d) {
      chain[d] =
          traces.values[(c * traces.draws + d) * traces.quantities + quantity];
    }
    if (!std::all_of(chain.begin(), chain.end(),
                     [](double value) { return std::isfinite(value); })) {
      continue;
    }
    for (const int64_t begin : {int64_t{0}, traces.draws - split.length}) {
      std::vector<double> half(chain.begin() + begin,
                               chain.begin() + begin + split.length);
      const double mean = Mean(half);
      for (double& value : half) value -= mean;
      split.means.push_back(mean);
      split.centred.push_back(std::move(half));
    }
  }
  return split;
}

// W and var+ of Bayesian Data Analysis, 11.4.
struct Variances {
  double within = kUndefined;
  double total = kUndefined;
};

Variances EstimateVariances(const SplitChains& split) {
  if (split.centred.empty()) return {};
  const auto n = static_cast<double>(split.length);
  double within = 0;
  for (const std::vector<double>& half : split.centred) {
    within += Variance(half);
  }
  within /= static_cast<double>(split.centred.size());
  // Draws that do not vary leave nothing to compare with.
  if (!(within > 0)) return {};
  return {within, (n - 1) / n * within + Variance(split.means)};
}

// The autocovariance at lags 0 to N - 1, divided by N, mean of all chains: by
// Fourier transform of the chains, padded so that they do not wrap around.
std::vector<double> MeanAutocovariance(const SplitChains& split) {
  size_t padded = 1;
  while (padded < 2 * static_cast<size_t>(split.length)) padded *= 2;
  Eigen::FFT<double> fft;
  std::vector<double> signal;
  std::vector<std::complex<double>> spectrum;
  std::vector<std::complex<double>> power(padded);
  for (const std::vector<double>& half : split.centred) {
    signal.assign(padded, 0);
    std::copy(half.begin(), half.end(), signal.begin());
    fft.fwd(spectrum, signal);
    for (size_t k = 0; k < padded; ++k) power[k] += std::norm(spectrum[k]);
  }
  fft.inv(signal, power);
  signal.resize(split.length);
  const double scale = static_cast<double>(split.length) *
                       static_cast<double>(split.centred.size());
  for (double& value : signal) value /= scale;
  return signal;
}

}  // namespace

double SplitRhat(const ChainTraces& traces, int64_t quantity) {
  const Variances variances = EstimateVariances(Split(traces, quantity));
  return std::sqrt(variances.total / variances.within);
}

double EffectiveSampleSize(const ChainTraces& traces, int64_t quantity) {
  const SplitChains split = Split(traces, quantity);
  const Variances variances = EstimateVariances(split);
  if (std::isnan(variances.total)) return kUndefined;
  const std::vector<double> covariance = MeanAutocovariance(split);
  const auto rho = [&](int64_t lag) {
    if (lag == 0) return 1.0;
    return 1 - (variances.within - covariance[lag]) / variances.total;
  };
  // Sums of neighbours are positive and fall in a reversible chain: stop at
  // the first that is not positive, and let none rise.
  double sum = 0;
  double previous = std::numeric_limits<double>::infinity();
  for (int64_t lag = 0; lag + 1 < split.length; lag += 2) {
    const double pair = std::min(rho(lag) + rho(lag + 1), previous);
    if (!(pair > 0)) break;
    sum += pair;
    previous = pair;
  }
  const double draws = static_cast<double>(split.length) *
                       static_cast<double>(split.centred.size());
  const double tau = std::max(2 * sum - 1, 1 / std::log10(draws));
  return draws / tau;
}

Diagnostics Diagnose(const ChainTraces& traces) {
  Diagnostics worst{.max_rhat = kUndefined, .min_ess = kUndefined};
  for (int64_t q = 0; q < traces.quantities; ++q) {
    // fmax and fmin prefer numbers to NaN.
    worst.max_rhat = std::fmax(worst.max_rhat, SplitRhat(traces, q));
    worst.min_ess = std::fmin(worst.min_ess, EffectiveSampleSize(traces, q));
  }
  return worst;
}

}  // namespace basin
