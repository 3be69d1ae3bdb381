// Proposals of sites that a gradient weighs, compiled once per instruction
// set: see core/base/cpu_isa.h. All in double.

#include <cstddef>
#include <cstdint>

#include "core/backend/cpu/discrete_table.h"
#include "core/backend/cpu/site_words.h"
#include "core/backend/discrete_formulas.h"
#include "core/backend/tile_formulas.h"
#include "core/base/normal.h"
#include "core/base/philox.h"

namespace basin::BASIN_ISA {
namespace {

constexpr double kNever = -__builtin_inf();

// One row and what weighs the changes of its sites.
struct Row {
  int64_t dimension;
  int64_t classes;
  double drift;
  double length_cost;  // of a change's squared length
  const float* x;      // [D]
  const float* grad;   // [D]
  const float* scale;  // [D] or null

  bool IsFree(int64_t at) const { return scale == nullptr || scale[at] != 0; }
  int64_t width() const { return classes == 0 ? 1 : classes; }
  int64_t sites() const { return dimension / width(); }
};

Row RowOf(const ChainTile& tile, int row, const float* x, const float* grad) {
  const int64_t offset = row * tile.dimension;
  return {tile.dimension,
          tile.classes,
          tile.coefficients[row].drift,
          tile.coefficients[row].move,
          x + offset,
          grad + offset,
          tile.scale == nullptr ? nullptr : tile.scale + offset};
}

// x . grad of the site at `begin`: the gradient's part at its class.
double PresentSlope(const Row& row, int64_t begin) {
  double slope = 0;
  for (int64_t a = 0; a < row.classes; ++a) {
    slope += static_cast<double>(row.x[begin + a]) * row.grad[begin + a];
  }
  return slope;
}

// What changing coordinate `at` promises: flipping it, or giving its site that
// class, of which the present one has `slope`.
double FlipPromise(const Row& row, int64_t at) {
  return row.drift * (2.0 * row.x[at] - 1.0) * row.grad[at];
}
double ClassPromise(const Row& row, int64_t at, double slope) {
  return row.drift * (slope - row.grad[at]);
}

// Calls visit(first coordinate, count, promises) for all of the row, piece by
// piece; kNever for what is no change of a free site.
template <typename Visit>
BASIN_HOST_DEVICE void VisitPromises(const Row& row, const Visit& visit) {
  alignas(64) double promise[kPiece];
  const int64_t width = row.classes == 0 ? row.dimension : row.classes;
  for (int64_t begin = 0; begin < row.dimension; begin += width) {
    const double slope = row.classes == 0 ? 0 : PresentSlope(row, begin);
    for (int64_t at = begin; at < begin + width; at += kPiece) {
      const int64_t left = begin + width - at;
      const auto count = static_cast<int>(left < kPiece ? left : kPiece);
      if (row.classes == 0) {
        for (int l = 0; l < count; ++l) promise[l] = FlipPromise(row, at + l);
      } else {
        for (int l = 0; l < count; ++l) {
          const double change = ClassPromise(row, at + l, slope);
          promise[l] = row.x[at + l] > 0.5F ? kNever : change;
        }
      }
      if (row.scale != nullptr) {
        for (int l = 0; l < count; ++l) {
          promise[l] = row.scale[at + l] == 0 ? kNever : promise[l];
        }
      }
      visit(at, count, promise);
    }
  }
}

// The softmax of the promises: weights are exp(promise - most).
struct Softmax {
  double most = kNever;  // kNever: no site is free
  double total = 0;

  // NaN if a promise was no number.
  double LogTotal() const {
    return IsFiniteDouble(total) ? most + LogOfDouble(total) : total;
  }
};

// The sum of exp(promise - most), in fixed lanes.
double SumOfWeights(const double* promise, int count, double most) {
  double lane[kSumLanes] = {};
  const int whole = count - count % kSumLanes;
  for (int l = 0; l < whole; l += kSumLanes) {
    for (int k = 0; k < kSumLanes; ++k) {
      lane[k] += ExpOfDouble(promise[l + k] - most);
    }
  }
  for (int l = whole; l < count; ++l) {
    lane[l - whole] += ExpOfDouble(promise[l] - most);
  }
  for (int width = kSumLanes / 2; width > 0; width /= 2) {
    for (int k = 0; k < width; ++k) lane[k] += lane[k + width];
  }
  return lane[0];
}

Softmax SoftmaxOf(const Row& row) {
  Softmax softmax;
  VisitPromises(row, [&](int64_t, int count, const double* promise) {
    double most = softmax.most;
    for (int l = 0; l < count; ++l) {
      most = promise[l] > most ? promise[l] : most;
    }
    softmax.most = most;
  });
  if (softmax.most == kNever) return softmax;
  VisitPromises(row, [&](int64_t, int count, const double* promise) {
    softmax.total += SumOfWeights(promise, count, softmax.most);
  });
  return softmax;
}

// The coordinate whose share of the total holds a uniform number of it; -1 if
// no site is free.
int64_t DrawChange(const Row& row, double u) {
  const Softmax softmax = SoftmaxOf(row);
  if (softmax.most == kNever) return -1;
  const double mark = u * softmax.total;
  double sum = 0;
  int64_t last = -1;
  bool found = false;
  VisitPromises(row, [&](int64_t first, int count, const double* promise) {
    if (found) return;
    const double piece = SumOfWeights(promise, count, softmax.most);
    const bool inside = mark < sum + piece;
    for (int l = 0; l < count && !found; ++l) {
      const double weight = ExpOfDouble(promise[l] - softmax.most);
      // Rounding may leave the mark behind all: then the last one counts.
      if (weight > 0) last = first + l;
      if (!inside) continue;
      sum += weight;
      found = mark < sum;
    }
    if (!inside) sum += piece;
  });
  return last;
}

void ProposeByGradient(const ChainTile& tile) {
  const auto bytes = static_cast<size_t>(tile.dimension) * sizeof(float);
  for (int b = 0; b < tile.rows; ++b) {
    const Row row = RowOf(tile, b, tile.position, tile.grad_energy);
    float* proposal = tile.proposal + b * tile.dimension;
    __builtin_memcpy(proposal, row.x, bytes);
    const PhiloxBlock draw = Philox(
        tile.seed[b], DrawCounter(0, tile.chain[b], tile.step[b],
                                  static_cast<uint8_t>(DrawPurpose::kNoise)));
    const int64_t at =
        DrawChange(row, OpenUnitDouble(draw.word[0], draw.word[1]));
    if (at < 0) continue;
    if (row.classes == 0) {
      proposal[at] = 1 - proposal[at];
      continue;
    }
    const int64_t begin = at - at % row.classes;
    for (int64_t a = 0; a < row.classes; ++a) proposal[begin + a] = 0;
    proposal[at] = 1;
  }
}

// The coordinate that a change sets: where a flip is, or where `to` has
// another class; -1 if they are the same.
int64_t FindChange(const Row& row, const float* to) {
  for (int64_t i = 0; i < row.dimension; ++i) {
    if (row.x[i] == to[i]) continue;
    if (row.classes == 0 || to[i] > 0.5F) return i;
  }
  return -1;
}

void AddSiteLogProbability(const ChainTile& tile,
                           const DiscreteOps::MoveDensity& move) {
  for (int b = 0; b < tile.rows; ++b) {
    const Row row = RowOf(tile, b, move.from, move.grad_energy);
    const int64_t at = FindChange(row, move.to + b * tile.dimension);
    if (at < 0) continue;
    const double promise =
        row.classes == 0
            ? FlipPromise(row, at)
            : ClassPromise(row, at, PresentSlope(row, at - at % row.classes));
    move.log_density[b] += move.sign * (promise - SoftmaxOf(row).LogTotal());
  }
}

// The log-odds of flipping coordinate i.
double FlipLogit(const Row& row, int64_t i) {
  return FlipPromise(row, i) - row.length_cost;
}

// Flips of `count` coordinates from `first` on.
void FlipPiece(const Row& row, int64_t first, int count, const uint32_t* words,
               float* to) {
  for (int l = 0; l < count; ++l) {
    const double logit = FlipLogit(row, first + l);
    const double u = OpenUnitDouble32(words[l]);
    // exp() overflows beyond: the flip is as good as impossible there.
    const double rarity = ExpOfDouble(logit < -700.0 ? 700.0 : -logit);
    const float x = row.x[first + l];
    to[first + l] = u * (1.0 + rarity) < 1.0 ? 1 - x : x;
  }
  if (row.scale == nullptr) return;
  for (int l = 0; l < count; ++l) {
    if (row.scale[first + l] == 0) to[first + l] = row.x[first + l];
  }
}

// What each class of a site promises, less the cost of its length.
double ClassLogit(const Row& row, int64_t at, double slope) {
  const double cost = row.x[at] > 0.5F ? 0.0 : 2.0 * row.length_cost;
  return ClassPromise(row, at, slope) - cost;
}

Softmax SoftmaxOfSite(const Row& row, int64_t begin, double slope) {
  Softmax softmax;
  for (int64_t a = 0; a < row.classes; ++a) {
    const double logit = ClassLogit(row, begin + a, slope);
    softmax.most = logit > softmax.most ? logit : softmax.most;
  }
  for (int64_t a = 0; a < row.classes; ++a) {
    softmax.total +=
        ExpOfDouble(ClassLogit(row, begin + a, slope) - softmax.most);
  }
  return softmax;
}

void RedrawSite(const Row& row, int64_t begin, double u, float* to) {
  const double slope = PresentSlope(row, begin);
  const Softmax softmax = SoftmaxOfSite(row, begin, slope);
  const double mark = u * softmax.total;
  double sum = 0;
  int64_t chosen = 0;
  for (int64_t a = 0; a < row.classes; ++a) {
    const double weight =
        ExpOfDouble(ClassLogit(row, begin + a, slope) - softmax.most);
    sum += weight;
    if (weight > 0) chosen = a;
    if (mark < sum) break;
  }
  for (int64_t a = 0; a < row.classes; ++a) to[begin + a] = 0;
  to[begin + chosen] = 1;
}

// Redraws the sites [first, first + count), the words of which are `words`.
void RedrawPiece(const Row& row, int64_t first, int count,
                 const uint32_t* words, float* to) {
  if (row.classes == 0) {
    FlipPiece(row, first, count, words, to);
    return;
  }
  for (int l = 0; l < count; ++l) {
    const int64_t begin = (first + l) * row.classes;
    if (row.IsFree(begin)) {
      RedrawSite(row, begin, OpenUnitDouble32(words[l]), to);
      continue;
    }
    for (int64_t a = 0; a < row.classes; ++a) to[begin + a] = row.x[begin + a];
  }
}

void ProposeAllSites(const ChainTile& tile) {
  for (int b = 0; b < tile.rows; ++b) {
    const Row row = RowOf(tile, b, tile.position, tile.grad_energy);
    float* to = tile.proposal + b * tile.dimension;
    VisitWords(tile, b, row.sites(), 0,
               [&](int64_t first, int count, const PhiloxBatch& batch, int k) {
                 RedrawPiece(row, first, count, batch.word[k], to);
               });
  }
}

// log P(to_i | x), summed over `count` coordinates in fixed lanes.
double SumOfFlips(const Row& row, const float* to) {
  double lane[kSumLanes] = {};
  const auto term = [&](int64_t i) {
    const double logit = FlipLogit(row, i);
    const double log_p = -SoftplusOfDouble(row.x[i] == to[i] ? logit : -logit);
    return row.IsFree(i) ? log_p : 0.0;
  };
  const int64_t whole = row.dimension - row.dimension % kSumLanes;
  for (int64_t i = 0; i < whole; i += kSumLanes) {
    for (int l = 0; l < kSumLanes; ++l) lane[l] += term(i + l);
  }
  for (int64_t i = whole; i < row.dimension; ++i) lane[i - whole] += term(i);
  for (int width = kSumLanes / 2; width > 0; width /= 2) {
    for (int l = 0; l < width; ++l) lane[l] += lane[l + width];
  }
  return lane[0];
}

double SumOfSites(const Row& row, const float* to) {
  double sum = 0;
  for (int64_t begin = 0; begin < row.dimension; begin += row.classes) {
    if (!row.IsFree(begin)) continue;
    const double slope = PresentSlope(row, begin);
    int64_t chosen = 0;
    for (int64_t a = 0; a < row.classes; ++a) {
      if (to[begin + a] > 0.5F) chosen = a;
    }
    sum += ClassLogit(row, begin + chosen, slope) -
           SoftmaxOfSite(row, begin, slope).LogTotal();
  }
  return sum;
}

void AddAllSitesLogProbability(const ChainTile& tile,
                               const DiscreteOps::MoveDensity& move) {
  for (int b = 0; b < tile.rows; ++b) {
    const Row row = RowOf(tile, b, move.from, move.grad_energy);
    const float* to = move.to + b * tile.dimension;
    const double sum =
        row.classes == 0 ? SumOfFlips(row, to) : SumOfSites(row, to);
    move.log_density[b] += move.sign * sum;
  }
}

}  // namespace

extern const GradientTable kGradientTable;
const GradientTable kGradientTable = {ProposeByGradient, AddSiteLogProbability,
                                      ProposeAllSites,
                                      AddAllSitesLogProbability};

}  // namespace basin::BASIN_ISA
