// Block laws and their draws, compiled once per instruction set: see
// core/base/cpu_isa.h.

#include <cstddef>
#include <cstdint>

#include "core/backend/cpu/discrete_table.h"
#include "core/backend/cpu/site_words.h"
#include "core/backend/discrete_formulas.h"
#include "core/backend/tile_formulas.h"
#include "core/base/normal.h"
#include "core/base/philox.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace basin::BASIN_ISA {
namespace {

constexpr int kRun = NeighbourField::kRun;
static_assert(kPiece <= BlockLaw::kPiece);

// Part of a run. Eight lanes hold the elements 0 1 4 5 2 3 6 7, so that every
// other one of sixteen is one instruction that crosses no 128-bit boundary.
#if defined(__AVX__)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif
using Lanes = float __attribute__((vector_size(kLanes * sizeof(float))));
using LaneNumbers = int32_t __attribute__((vector_size(sizeof(Lanes))));
constexpr int kVectors = kRun / kLanes;

BASIN_HOST_DEVICE Lanes LoadInOrder(const float* from) {
  Lanes lanes;
  __builtin_memcpy(&lanes, from, sizeof(lanes));
  return lanes;
}

BASIN_HOST_DEVICE void StoreInOrder(const Lanes& lanes, float* to) {
  __builtin_memcpy(to, &lanes, sizeof(lanes));
}

BASIN_HOST_DEVICE Lanes Broadcast(float value) { return value - Lanes{}; }

#if defined(__AVX__)

constexpr LaneNumbers kElements = {0, 1, 4, 5, 2, 3, 6, 7};

// Between the order of elements and that of lanes: its own inverse.
template <typename Vector>
BASIN_HOST_DEVICE Vector Reordered(const Vector& lanes) {
  using Pairs = double __attribute__((vector_size(sizeof(Lanes))));
  const auto pairs = reinterpret_cast<Pairs>(lanes);
  return reinterpret_cast<Vector>(
      __builtin_shufflevector(pairs, pairs, 0, 2, 1, 3));
}

// Elements 0, 2, ... of a and b.
BASIN_HOST_DEVICE Lanes Even(const Lanes& a, const Lanes& b) {
  return __builtin_shufflevector(a, b, 0, 2, 8, 10, 4, 6, 12, 14);
}

// a, but for elements 0, 2, ...: the first or the second half of `values`.
BASIN_HOST_DEVICE Lanes FirstAsEven(const Lanes& values, const Lanes& a) {
  return __builtin_shufflevector(values, a, 0, 9, 1, 11, 4, 13, 5, 15);
}
BASIN_HOST_DEVICE Lanes SecondAsEven(const Lanes& values, const Lanes& a) {
  return __builtin_shufflevector(values, a, 2, 9, 3, 11, 6, 13, 7, 15);
}

#else

constexpr LaneNumbers kElements = {0, 1, 2, 3};

template <typename Vector>
BASIN_HOST_DEVICE Vector Reordered(const Vector& lanes) {
  return lanes;
}
BASIN_HOST_DEVICE Lanes Even(const Lanes& a, const Lanes& b) {
  return __builtin_shufflevector(a, b, 0, 2, 4, 6);
}
BASIN_HOST_DEVICE Lanes FirstAsEven(const Lanes& values, const Lanes& a) {
  return __builtin_shufflevector(values, a, 0, 5, 1, 7);
}
BASIN_HOST_DEVICE Lanes SecondAsEven(const Lanes& values, const Lanes& a) {
  return __builtin_shufflevector(values, a, 2, 5, 3, 7);
}

#endif

BASIN_HOST_DEVICE Lanes Load(const float* from) {
  return Reordered(LoadInOrder(from));
}

BASIN_HOST_DEVICE void Store(const Lanes& lanes, float* to) {
  StoreInOrder(Reordered(lanes), to);
}

// Elements 0, 2, ... of those from `from` on.
BASIN_HOST_DEVICE Lanes LoadEven(const float* from) {
  return Even(LoadInOrder(from), LoadInOrder(from + kLanes));
}

// Elements 0, 2, ... of those from `to` on become `values`.
BASIN_HOST_DEVICE void StoreEven(const Lanes& values, float* to) {
  StoreInOrder(FirstAsEven(values, LoadInOrder(to)), to);
  StoreInOrder(SecondAsEven(values, LoadInOrder(to + kLanes)), to + kLanes);
}

// sums [kRun] += weights * x at the run's neighbours, which have a stride.
BASIN_HOST_DEVICE void AddRun(const NeighbourField::Run& run,
                              const float* weights, const int32_t* neighbours,
                              const float* x, Lanes* sums) {
  Lanes states[kVectors];
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v) {
    states[v] = LoadEven(x + run.first + 2 * v * kLanes);
  }
  if (run.odd_lane >= 0) {
    const Lanes odd = Broadcast(x[neighbours[run.odd_lane]]);
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      const int32_t element = run.odd_lane - v * kLanes;
      states[v] = kElements == element ? odd : states[v];
    }
  }
  const bool uniform = run.kind == NeighbourField::Kind::kUniform;
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v) {
    sums[v] += (uniform ? Broadcast(run.weight) : Load(weights + v * kLanes)) *
               states[v];
  }
}

// sum [kRun] of the run of sites from `begin` on, binary.
// REQUIRES: begin is a multiple of kRun.
BASIN_HOST_DEVICE void AddRunOfNeighbours(const NeighbourField& field,
                                          int64_t begin, const float* x,
                                          float* sum) {
  using Kind = NeighbourField::Kind;
  const NeighbourField::SiteRun& own = field.site_runs[begin / kRun];
  const NeighbourField::Run* runs = field.runs + begin / kRun * field.degree;
  const bool uniform = own.kind == Kind::kUniform || own.kind == Kind::kAlike;
  Lanes sums[kVectors];
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v) {
    sums[v] =
        uniform ? Broadcast(own.bias) : Load(field.bias + begin + v * kLanes);
  }
  for (int64_t k = 0; k < field.degree; ++k) {
    const float* weights = field.weights + k * field.sites + begin;
    const int32_t* neighbours = field.neighbours + k * field.sites + begin;
    if (runs[k].kind != Kind::kNone) {
      AddRun(runs[k], weights, neighbours, x, sums);
      continue;
    }
    alignas(64) float each[kRun];
    for (int l = 0; l < kRun; ++l) each[l] = weights[l] * x[neighbours[l]];
    for (int v = 0; v < kVectors; ++v) sums[v] += Load(each + v * kLanes);
  }
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v) Store(sums[v], sum + v * kLanes);
}

// parameter [count] of the sites from `begin` on in the state x, binary.
void AddNeighbours(const NeighbourField& field, int64_t begin, int64_t count,
                   const float* x, float* parameter) {
  const int64_t end = begin + count;
  for (int64_t at = begin; at < end;) {
    if (at % kRun == 0 && at + kRun <= end) {
      AddRunOfNeighbours(field, at, x, parameter + (at - begin));
      at += kRun;
      continue;
    }
    float sum = field.bias[at];
    for (int64_t k = 0; k < field.degree; ++k) {
      sum += field.weights[k * field.sites + at] *
             x[field.neighbours[k * field.sites + at]];
    }
    parameter[at - begin] = sum;
    ++at;
  }
}

// The same for all classes of each site: parameter [count, q].
void AddNeighbourClasses(const NeighbourField& field, int64_t begin,
                         int64_t count, const float* x, float* parameter) {
  const int64_t q = field.classes;
  for (int64_t l = 0; l < count; ++l) {
    float* sum = parameter + l * q;
    const float* bias = field.bias + (begin + l) * q;
    for (int64_t a = 0; a < q; ++a) sum[a] = bias[a];
    for (int64_t k = 0; k < field.degree; ++k) {
      const int64_t at = k * field.sites + begin + l;
      const float weight = field.weights[at];
      const float* neighbour = x + field.neighbours[at] * q;
      for (int64_t a = 0; a < q; ++a) sum[a] += weight * neighbour[a];
    }
  }
}

void AddField(const NeighbourField& field, int64_t begin, int64_t count,
              const float* x, float* parameter) {
  if (field.classes == 0) {
    AddNeighbours(field, begin, count, x, parameter);
  } else {
    AddNeighbourClasses(field, begin, count, x, parameter);
  }
}

void EvaluateField(const BlockLaw& law, int rows, int64_t dimension,
                   float* parameter) {
  const int64_t width = law.classes == 0 ? 1 : law.classes;
  for (int row = 0; row < rows; ++row) {
    AddField(*law.field, 0, law.variables, law.given + row * dimension,
             parameter + row * law.variables * width);
  }
}

// Variables of one row.
struct Piece {
  int row;
  int64_t first;
  int count;
};

// Parameters of the piece's variables, [count] or [count, q].
const float* ParametersOf(const ChainTile& tile, const BlockLaw& law,
                          const Piece& piece) {
  if (law.field == nullptr) {
    const int64_t width = law.classes == 0 ? 1 : law.classes;
    return law.parameter + (piece.row * law.variables + piece.first) * width;
  }
  AddField(*law.field, piece.first, piece.count,
           law.given + piece.row * tile.dimension, law.scratch);
  return law.scratch;
}

// Where a variable's first coordinate is.
int64_t CoordinateOf(const BlockLaw& law, int64_t variable) {
  const int64_t width =
      law.kind == BlockLaw::Kind::kCategorical ? law.classes : 1;
  const int64_t site =
      law.sites != nullptr ? law.sites[variable] : law.first_site + variable;
  return site * width;
}

// x at the `count` sites of a block from number `first` on becomes `value`.
void SetSites(const BlockLaw& law, int64_t first, int count, const float* value,
              float* x) {
  for (int l = 0; l < count;) {
    const int64_t i = first + l;
    if (law.field != nullptr && law.field->site_runs != nullptr &&
        i % kRun == 0 && l + kRun <= count) {
      const NeighbourField::SiteRun& run = law.field->site_runs[i / kRun];
      if (run.kind != NeighbourField::Kind::kNone) {
        for (int v = 0; v < kVectors; ++v) {
          StoreEven(Load(value + l + v * kLanes),
                    x + run.first + 2 * v * kLanes);
        }
        l += kRun;
        continue;
      }
    }
    x[law.sites[i]] = value[l];
    ++l;
  }
}

// Puts `value` of variables that are not hidden, one coordinate each, into the
// position where they are free.
void SetCoordinates(const ChainTile& tile, const BlockLaw& law,
                    const Piece& piece, const float* value) {
  const int64_t offset = piece.row * tile.dimension;
  float* x = tile.position + offset;
  const float* scale = tile.scale == nullptr ? nullptr : tile.scale + offset;
  if (law.sites == nullptr && scale == nullptr) {
    __builtin_memcpy(x + law.first_site + piece.first, value,
                     sizeof(float) * piece.count);
    return;
  }
  if (scale == nullptr) {
    SetSites(law, piece.first, piece.count, value, x);
    return;
  }
  for (int l = 0; l < piece.count; ++l) {
    const int64_t at = CoordinateOf(law, piece.first + l);
    if (scale[at] != 0) x[at] = value[l];
  }
}

// Which words draw a 1 where c of `degree` neighbours are 1 that all weigh the
// same: those with word >> 9 below below[c]. One sum of the field, one
// probability and one threshold for all such sites.
class CountTable {
 public:
  // Does nothing if these are what it has.
  void Prepare(const NeighbourField::SiteRun& run, int64_t degree, float beta) {
    const bool same = run.bias == bias_ && run.weight == weight_ &&
                      degree == degree_ && beta == beta_;
    if (same) return;
    bias_ = run.bias;
    weight_ = run.weight;
    degree_ = degree;
    beta_ = beta;
    float parameter = bias_;
    finite_ = true;
    for (int64_t c = 0; c <= degree; ++c) {
      const float logit = beta * parameter;
      finite_ = finite_ && logit - logit == 0;
      below_[c] = finite_ ? Below(logit) : 0;
      parameter += weight_;
    }
  }

  // Whether all laws are finite.
  bool finite() const { return finite_; }

  // below[c], for the numbers c of all lanes.
  BASIN_HOST_DEVICE LaneNumbers operator[](const LaneNumbers& count) const {
#if defined(__AVX2__)
    const __m256i below =
        _mm256_load_si256(reinterpret_cast<const __m256i*>(below_));
    return reinterpret_cast<LaneNumbers>(
        _mm256_permutevar8x32_epi32(below, reinterpret_cast<__m256i>(count)));
#else
    LaneNumbers below = below_[0] - LaneNumbers{};
    for (int32_t c = 1; c <= degree_; ++c) {
      below = count >= c ? below_[c] - LaneNumbers{} : below;
    }
    return below;
#endif
  }

 private:
  static constexpr int32_t kWords = 1 << 23;

  // How many of the kWords values of word >> 9 DrawBernoulli() makes 1.
  static int32_t Below(float logit) {
    const auto draws = [logit](int32_t number) {
      return DrawBernoulli(logit, static_cast<uint32_t>(number) << 9) == 1.0F;
    };
    // About, and then exactly.
    auto below =
        static_cast<int32_t>(kWords / (1.0 + ExpOfDouble(-Clamp(logit))));
    while (below < kWords && draws(below)) ++below;
    while (below > 0 && !draws(below - 1)) --below;
    return below;
  }

  static double Clamp(float logit) {
    constexpr float kLargest = 20.0F;
    return logit < -kLargest ? -kLargest : logit > kLargest ? kLargest : logit;
  }

  float bias_ = 0;
  float weight_ = 0;
  int64_t degree_ = -1;
  float beta_ = 0;
  bool finite_ = false;
  alignas(32) int32_t below_[NeighbourField::kMostAlike + 1] = {};
};

// Draws the run of alike sites from `begin` on of the state x, with `words`.
BASIN_HOST_DEVICE void DrawAlike(const NeighbourField& field, int64_t begin,
                                 const CountTable& table, const uint32_t* words,
                                 float* x) {
  const NeighbourField::Run* runs = field.runs + begin / kRun * field.degree;
  // Of the sites' neighbours, and of those beside them.
  Lanes both[2 * kVectors] = {};
  for (int64_t k = 0; k < field.degree; ++k) {
    const float* from = x + runs[k].first;
#pragma GCC unroll 8
    for (int v = 0; v < 2 * kVectors; ++v) {
      both[v] += LoadInOrder(from + v * kLanes);
    }
  }
  Lanes ones[kVectors];
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v) {
    ones[v] = Even(both[2 * v], both[2 * v + 1]);
  }
  for (int64_t k = 0; k < field.degree; ++k) {
    const int32_t odd = runs[k].odd_lane;
    if (odd < 0) continue;
    const Lanes change =
        Broadcast(x[field.neighbours[k * field.sites + begin + odd]] -
                  x[runs[k].first + 2 * odd]);
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      ones[v] += kElements == odd - v * kLanes ? change : Lanes{};
    }
  }
  float* to = x + field.site_runs[begin / kRun].first;
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v) {
    LaneNumbers numbers;
    __builtin_memcpy(&numbers, words + v * kLanes, sizeof(numbers));
    numbers = Reordered(numbers);
    using Words = uint32_t __attribute__((vector_size(sizeof(Lanes))));
    numbers =
        reinterpret_cast<LaneNumbers>(reinterpret_cast<Words>(numbers) >> 9);
    const LaneNumbers is_one =
        numbers < table[__builtin_convertvector(ones[v], LaneNumbers)];
    constexpr int32_t kOne = 0x3F800000;
    StoreEven(reinterpret_cast<Lanes>(is_one & kOne), to + 2 * v * kLanes);
  }
}

// Whether the `count` sites from `begin` on start with a run of alike ones.
bool StartsAlike(const NeighbourField& field, int64_t begin, int count) {
  return begin % kRun == 0 && count >= kRun &&
         field.site_runs[begin / kRun].kind == NeighbourField::Kind::kAlike;
}

void DrawBitsOf(const ChainTile& tile, const BlockLaw& law, const Piece& piece,
                const uint32_t* words) {
  alignas(64) float value[kPiece];
  const float beta = tile.coefficients[piece.row].beta;
  const float* parameter = ParametersOf(tile, law, piece);
  for (int l = 0; l < piece.count; ++l) {
    value[l] = DrawBernoulli(beta * parameter[l], words[l]);
  }
  if (law.hidden != nullptr) {
    __builtin_memcpy(law.hidden + piece.row * law.variables + piece.first,
                     value, sizeof(float) * piece.count);
  } else {
    SetCoordinates(tile, law, piece, value);
  }
}

void DrawBits(const ChainTile& tile, const BlockLaw& law, const Piece& piece,
              const uint32_t* words, CountTable& table) {
  const NeighbourField* field = law.field;
  if (field == nullptr || tile.scale != nullptr || law.sites == nullptr) {
    DrawBitsOf(tile, law, piece, words);
    return;
  }
  float* x = tile.position + piece.row * tile.dimension;
  const float beta = tile.coefficients[piece.row].beta;
  int others = 0;  // not drawn yet, before l
  const auto draw_others = [&](int l) {
    if (others == 0) return;
    DrawBitsOf(tile, law, {piece.row, piece.first + l - others, others},
               words + l - others);
    others = 0;
  };
  for (int l = 0; l < piece.count;) {
    const int64_t begin = piece.first + l;
    if (StartsAlike(*field, begin, piece.count - l)) {
      table.Prepare(field->site_runs[begin / kRun], field->degree, beta);
      if (table.finite()) {
        draw_others(l);
        DrawAlike(*field, begin, table, words + l, x);
        l += kRun;
        continue;
      }
    }
    ++others;
    ++l;
  }
  draw_others(piece.count);
}

// The class whose share of the sum holds a uniform number of it.
int64_t DrawClass(int64_t classes, const float* parameter, float beta,
                  uint32_t bits) {
  float most = beta * parameter[0];
  for (int64_t a = 1; a < classes; ++a) {
    const float other = beta * parameter[a];
    most = other > most ? other : most;
  }
  float total = 0;
  for (int64_t a = 0; a < classes; ++a) {
    total += Exp(beta * parameter[a] - most);
  }
  const float mark = UnitFloat(bits) * total;
  float sum = 0;
  int64_t chosen = 0;
  for (int64_t a = 0; a < classes; ++a) {
    const float weight = Exp(beta * parameter[a] - most);
    sum += weight;
    if (weight > 0) chosen = a;
    if (mark < sum) break;
  }
  return chosen;
}

void DrawClasses(const ChainTile& tile, const BlockLaw& law, const Piece& piece,
                 const uint32_t* words) {
  const int64_t q = law.classes;
  const int64_t offset = piece.row * tile.dimension;
  const float beta = tile.coefficients[piece.row].beta;
  const float* parameter = ParametersOf(tile, law, piece);
  for (int l = 0; l < piece.count; ++l) {
    const int64_t at = offset + CoordinateOf(law, piece.first + l);
    if (tile.scale != nullptr && tile.scale[at] == 0) continue;
    const int64_t chosen = DrawClass(q, parameter + l * q, beta, words[l]);
    for (int64_t a = 0; a < q; ++a) tile.position[at + a] = 0;
    tile.position[at + chosen] = 1;
  }
}

void DrawNormals(const ChainTile& tile, const BlockLaw& law, const Piece& piece,
                 const float* xi) {
  alignas(64) float value[kPiece];
  const int64_t at = piece.row * law.variables + piece.first;
  for (int l = 0; l < piece.count; ++l) {
    value[l] = law.parameter[at + l] + law.stddev[at + l] * xi[l];
  }
  const int64_t offset = piece.row * tile.dimension;
  const int64_t stride = tile.box_columns == 1 ? 0 : 1;
  for (int l = 0; l < piece.count; ++l) {
    const int64_t i = CoordinateOf(law, piece.first + l);
    const int64_t bound = piece.row * tile.box_columns + i * stride;
    const bool outside =
        value[l] < tile.lower[bound] || value[l] > tile.upper[bound];
    if (outside) value[l] = tile.position[offset + i];
  }
  SetCoordinates(tile, law, piece, value);
}

// Of variables whose words are batch.word[k]; each block makes four normals.
void ToNormals(const PhiloxBatch& batch, int k, int count, float* xi) {
  for (int l = 0; l < count; ++l) {
    xi[l] = NormalsOf({{batch.word[0][l], batch.word[1][l], batch.word[2][l],
                        batch.word[3][l]}})
                .value[k];
  }
}

void DrawBlock(const ChainTile& tile, const BlockLaw& law,
               uint32_t first_quad) {
  alignas(64) float xi[kPiece];
  CountTable table;
  for (int row = 0; row < tile.rows; ++row) {
    VisitWords(tile, row, law.variables, first_quad,
               [&](int64_t first, int count, const PhiloxBatch& batch, int k) {
                 const Piece piece = {row, first, count};
                 switch (law.kind) {
                   case BlockLaw::Kind::kBernoulli:
                     DrawBits(tile, law, piece, batch.word[k], table);
                     break;
                   case BlockLaw::Kind::kCategorical:
                     DrawClasses(tile, law, piece, batch.word[k]);
                     break;
                   case BlockLaw::Kind::kNormal:
                     ToNormals(batch, k, count, xi);
                     DrawNormals(tile, law, piece, xi);
                     break;
                 }
               });
  }
}

}  // namespace

extern const BlockTable kBlockTable;
const BlockTable kBlockTable = {EvaluateField, DrawBlock};

}  // namespace basin::BASIN_ISA
