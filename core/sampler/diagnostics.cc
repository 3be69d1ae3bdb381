#include "core/sampler/diagnostics.h"

#include <algorithm>
#include <cmath>
#include <complex>
#include <limits>
#include <numeric>
#include <unsupported/Eigen/FFT>
#include <unsupported/Eigen/SpecialFunctions>

#include "core/base/check.h"

namespace basin {
namespace {

constexpr double kUndefined = std::numeric_limits<double>::quiet_NaN();
constexpr int64_t kMinDraws = 4;

// Half chains of equal length N, M of them.
struct Halves {
  int64_t length = 0;
  std::vector<double> values;  // [M, N]

  int64_t count() const {
    return values.empty() ? 0 : static_cast<int64_t>(values.size()) / length;
  }
  absl::Span<const double> half(int64_t m) const {
    return absl::MakeConstSpan(values).subspan(m * length, length);
  }
};

Halves Split(const ChainTraces& traces, int64_t quantity) {
  BASIN_CHECK(quantity >= 0 && quantity < traces.quantities);
  BASIN_CHECK(static_cast<int64_t>(traces.values.size()) ==
              traces.chains * traces.draws * traces.quantities);
  Halves halves{.length = traces.draws / 2, .values = {}};
  if (traces.draws < kMinDraws) return halves;
  halves.values.reserve(2 * halves.length * traces.chains);
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
    halves.values.insert(halves.values.end(), chain.begin(),
                         chain.begin() + halves.length);
    halves.values.insert(halves.values.end(), chain.end() - halves.length,
                         chain.end());
  }
  return halves;
}

// Without draws that vary there is nothing to diagnose.
bool AllEqual(const Halves& halves) {
  return std::adjacent_find(halves.values.begin(), halves.values.end(),
                            std::not_equal_to<>()) == halves.values.end();
}

double Mean(absl::Span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) /
         static_cast<double>(values.size());
}

// Variance with divisor n - 1. REQUIRES: at least two values.
double Variance(absl::Span<const double> values) {
  const double mean = Mean(values);
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  return squares / static_cast<double>(values.size() - 1);
}

// W and var+ of Bayesian Data Analysis, 11.4.
struct Variances {
  double within = 0;
  double total = 0;
};

Variances EstimateVariances(const Halves& halves) {
  const auto n = static_cast<double>(halves.length);
  double within = 0;
  std::vector<double> means;
  for (int64_t m = 0; m < halves.count(); ++m) {
    within += Variance(halves.half(m));
    means.push_back(Mean(halves.half(m)));
  }
  within /= static_cast<double>(halves.count());
  return {within, (n - 1) / n * within + Variance(means)};
}

double Rhat(const Halves& halves) {
  if (AllEqual(halves)) return kUndefined;
  const Variances variances = EstimateVariances(halves);
  return std::sqrt(variances.total / variances.within);
}

// The autocovariance at lags 0 to N - 1, divided by N, mean of all halves: by
// Fourier transform of the halves, padded so that they do not wrap around.
std::vector<double> MeanAutocovariance(const Halves& halves) {
  size_t padded = 1;
  while (padded < 2 * static_cast<size_t>(halves.length)) padded *= 2;
  Eigen::FFT<double> fft;
  fft.SetFlag(Eigen::FFT<double>::HalfSpectrum);
  std::vector<double> signal;
  std::vector<std::complex<double>> spectrum;
  std::vector<std::complex<double>> power(padded / 2 + 1);
  for (int64_t m = 0; m < halves.count(); ++m) {
    const absl::Span<const double> half = halves.half(m);
    const double mean = Mean(half);
    signal.assign(padded, 0);
    std::transform(half.begin(), half.end(), signal.begin(),
                   [mean](double value) { return value - mean; });
    fft.fwd(spectrum, signal);
    for (size_t k = 0; k < power.size(); ++k) {
      power[k] += std::norm(spectrum[k]);
    }
  }
  fft.inv(signal, power);
  signal.resize(halves.length);
  for (double& value : signal) {
    value /= static_cast<double>(halves.values.size());
  }
  return signal;
}

double Ess(const Halves& halves) {
  if (AllEqual(halves)) return kUndefined;
  const Variances variances = EstimateVariances(halves);
  const std::vector<double> covariance = MeanAutocovariance(halves);
  const auto rho = [&](int64_t lag) {
    if (lag == 0) return 1.0;
    return 1 - (variances.within - covariance[lag]) / variances.total;
  };
  // Sums of neighbours are positive and fall in a reversible chain: let none
  // rise, and stop at the first that is not positive. Of that one, a positive
  // first half counts once, as in posterior and ArviZ: it halves the variance
  // of the estimate for antithetic chains.
  double tau = -1;
  double previous = std::numeric_limits<double>::infinity();
  for (int64_t lag = 0; lag + 1 < halves.length; lag += 2) {
    const double even = rho(lag);
    const double pair = even + rho(lag + 1);
    if (!(pair > 0)) {
      tau += std::max(even, 0.0);
      break;
    }
    previous = std::min(pair, previous);
    tau += 2 * previous;
  }
  const auto draws = static_cast<double>(halves.values.size());
  return draws / std::max(tau, 1 / std::log10(draws));
}

// A draw and where it stands in Halves::values.
struct Entry {
  double value;
  int64_t index;
};

bool ByValue(const Entry& a, const Entry& b) { return a.value < b.value; }

std::vector<Entry> Sorted(const Halves& halves) {
  std::vector<Entry> entries;
  entries.reserve(halves.values.size());
  for (const double value : halves.values) {
    entries.push_back({value, static_cast<int64_t>(entries.size())});
  }
  std::sort(entries.begin(), entries.end(), ByValue);
  return entries;
}

// Type 7 of Hyndman and Fan 1996. Exact where neighbours are equal, so that
// "at most the quantile" does not split ties.
double Quantile(const std::vector<Entry>& sorted, double p) {
  const double position = p * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(position);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below].value + (position - static_cast<double>(below)) *
                                   (sorted[above].value - sorted[below].value);
}

// The draws as distances from their median, sorted again: both sides of the
// median are sorted already.
std::vector<Entry> Folded(std::vector<Entry> sorted) {
  const double median = Quantile(sorted, 0.5);
  const auto middle =
      std::lower_bound(sorted.begin(), sorted.end(), Entry{median, 0}, ByValue);
  for (Entry& entry : sorted) entry.value = std::abs(entry.value - median);
  std::reverse(sorted.begin(), middle);
  std::inplace_merge(sorted.begin(), middle, sorted.end(), ByValue);
  return sorted;
}

// Every draw replaced by the normal quantile of its fractional rank, by Blom
// 1958; equal draws share their mean rank.
Halves NormalScores(const std::vector<Entry>& sorted, int64_t length) {
  Halves scores{.length = length, .values = std::vector<double>(sorted.size())};
  const auto size = static_cast<double>(sorted.size());
  for (size_t begin = 0; begin < sorted.size();) {
    size_t end = begin + 1;
    while (end < sorted.size() && sorted[end].value == sorted[begin].value) {
      ++end;
    }
    const double rank = 0.5 * static_cast<double>(begin + 1 + end);
    const double score = Eigen::numext::ndtri((rank - 0.375) / (size + 0.25));
    for (; begin < end; ++begin) scores.values[sorted[begin].index] = score;
  }
  return scores;
}

double EssOfQuantile(const Halves& halves, double quantile) {
  Halves indicator = halves;
  for (double& value : indicator.values) value = value <= quantile ? 1 : 0;
  return Ess(indicator);
}

// What the rank-based diagnostics share of one quantity.
struct Ranked {
  explicit Ranked(const Halves& halves)
      : sorted(Sorted(halves)), scores(NormalScores(sorted, halves.length)) {}

  std::vector<Entry> sorted;
  Halves scores;
};

double RankRhat(const Ranked& ranked) {
  if (ranked.sorted.empty()) return kUndefined;
  // fmax and fmin prefer numbers to NaN.
  return std::fmax(
      Rhat(ranked.scores),
      Rhat(NormalScores(Folded(ranked.sorted), ranked.scores.length)));
}

double TailEss(const Halves& halves, const Ranked& ranked) {
  if (ranked.sorted.empty()) return kUndefined;
  return std::fmin(EssOfQuantile(halves, Quantile(ranked.sorted, 0.05)),
                   EssOfQuantile(halves, Quantile(ranked.sorted, 0.95)));
}

}  // namespace

double SplitRhat(const ChainTraces& traces, int64_t quantity) {
  return Rhat(Split(traces, quantity));
}

double RankRhat(const ChainTraces& traces, int64_t quantity) {
  return RankRhat(Ranked(Split(traces, quantity)));
}

double EffectiveSampleSize(const ChainTraces& traces, int64_t quantity) {
  return Ess(Split(traces, quantity));
}

double BulkEss(const ChainTraces& traces, int64_t quantity) {
  return Ess(Ranked(Split(traces, quantity)).scores);
}

double TailEss(const ChainTraces& traces, int64_t quantity) {
  const Halves halves = Split(traces, quantity);
  return TailEss(halves, Ranked(halves));
}

Diagnostics Diagnose(const ChainTraces& traces) {
  Diagnostics worst;
  for (int64_t q = 0; q < traces.quantities; ++q) {
    const Halves halves = Split(traces, q);
    const Ranked ranked(halves);
    worst.max_rhat = std::fmax(worst.max_rhat, RankRhat(ranked));
    worst.max_split_rhat = std::fmax(worst.max_split_rhat, Rhat(halves));
    worst.min_bulk_ess = std::fmin(worst.min_bulk_ess, Ess(ranked.scores));
    worst.min_tail_ess = std::fmin(worst.min_tail_ess, TailEss(halves, ranked));
  }
  return worst;
}

}  // namespace basin
