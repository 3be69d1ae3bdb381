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

namespace basin::BASIN_ISA {
namespace {

// Four lanes are one instruction on every set, and every other float of eight
// is one more.
using Lanes = float __attribute__((vector_size(4 * sizeof(float))));

BASIN_HOST_DEVICE Lanes Load(const float* from) {
  Lanes lanes;
  __builtin_memcpy(&lanes, from, sizeof(lanes));
  return lanes;
}

// sum += weights * x[0, 2, ...], of kRun sites.
BASIN_HOST_DEVICE void AddRun(const float* weights, const float* x,
                              float* sum) {
  for (int l = 0; l < NeighbourField::kRun; l += 4) {
    const Lanes even = __builtin_shufflevector(Load(x + 2 * l),
                                               Load(x + 2 * l + 4), 0, 2, 4, 6);
    const Lanes added = Load(sum + l) + Load(weights + l) * even;
    __builtin_memcpy(sum + l, &added, sizeof(added));
  }
}

// Of the sites [begin, begin + count) of one row, binary: `sum` holds them.
// REQUIRES: begin is a multiple of kRun.
void AddNeighbours(const NeighbourField& field, int64_t begin, int count,
                   const float* x, float* sum) {
  constexpr int kRun = NeighbourField::kRun;
  for (int l = 0; l < count; ++l) sum[l] = field.bias[begin + l];
  for (int64_t k = 0; k < field.degree; ++k) {
    const float* weights = field.weights + k * field.sites + begin;
    const int32_t* neighbours = field.neighbours + k * field.sites + begin;
    const uint8_t* runs = field.runs + k * (field.sites / kRun) + begin / kRun;
    for (int at = 0; at < count; at += kRun) {
      if (at + kRun <= count && runs[at / kRun] != 0) {
        AddRun(weights + at, x + neighbours[at], sum + at);
        continue;
      }
      const int end = at + kRun < count ? at + kRun : count;
      for (int l = at; l < end; ++l) sum[l] += weights[l] * x[neighbours[l]];
    }
  }
}

// The same for all classes of each site.
void AddNeighbourClasses(const NeighbourField& field, int64_t begin, int count,
                         const float* x, float* parameter) {
  const int64_t q = field.classes;
  for (int l = 0; l < count; ++l) {
    float* sum = parameter + (begin + l) * q;
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

void EvaluateRow(const NeighbourField& field, int64_t begin, int64_t end,
                 const float* x, float* parameter) {
  alignas(64) float sum[kPiece];
  for (int64_t at = begin; at < end; at += kPiece) {
    const auto count = static_cast<int>(end - at < kPiece ? end - at : kPiece);
    if (field.classes > 0) {
      AddNeighbourClasses(field, at, count, x, parameter);
      continue;
    }
    AddNeighbours(field, at, count, x, sum);
    __builtin_memcpy(parameter + at, sum, sizeof(float) * count);
  }
}

// Part by part for all rows, so that the tables stay in the cache, and in
// parts large enough for rows that lie a power of two apart.
void EvaluateField(const NeighbourField& field,
                   const DiscreteOps::FieldInput& input, float* parameter) {
  constexpr int64_t kPart = 1024;
  const int64_t width = field.classes == 0 ? 1 : field.classes;
  for (int64_t begin = 0; begin < field.sites; begin += kPart) {
    const int64_t left = field.sites - begin;
    const int64_t end = begin + (left < kPart ? left : kPart);
    for (int row = 0; row < input.rows; ++row) {
      EvaluateRow(field, begin, end, input.x + row * input.dimension,
                  parameter + row * field.sites * width);
    }
  }
}

// Variables of one row.
struct Piece {
  int row;
  int64_t first;
  int count;
};

// Where a variable's first coordinate is.
int64_t CoordinateOf(const BlockLaw& law, int64_t variable) {
  const int64_t width =
      law.kind == BlockLaw::Kind::kCategorical ? law.classes : 1;
  const int64_t site =
      law.sites != nullptr ? law.sites[variable] : law.first_site + variable;
  return site * width;
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
    const int32_t* sites = law.sites + piece.first;
    for (int l = 0; l < piece.count; ++l) x[sites[l]] = value[l];
    return;
  }
  for (int l = 0; l < piece.count; ++l) {
    const int64_t at = CoordinateOf(law, piece.first + l);
    if (scale[at] != 0) x[at] = value[l];
  }
}

void DrawBits(const ChainTile& tile, const BlockLaw& law, const Piece& piece,
              const uint32_t* words) {
  alignas(64) float value[kPiece];
  const float beta = tile.coefficients[piece.row].beta;
  const int64_t at = piece.row * law.variables + piece.first;
  const float* parameter = law.parameter + at;
  for (int l = 0; l < piece.count; ++l) {
    value[l] = DrawBernoulli(beta * parameter[l], words[l]);
  }
  if (law.hidden != nullptr) {
    __builtin_memcpy(law.hidden + at, value, sizeof(float) * piece.count);
  } else {
    SetCoordinates(tile, law, piece, value);
  }
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
  for (int l = 0; l < piece.count; ++l) {
    const int64_t variable = piece.first + l;
    const int64_t at = offset + CoordinateOf(law, variable);
    if (tile.scale != nullptr && tile.scale[at] == 0) continue;
    const float* parameter =
        law.parameter + (piece.row * law.variables + variable) * q;
    const int64_t chosen =
        DrawClass(q, parameter, tile.coefficients[piece.row].beta, words[l]);
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

// Of variables whose words are words.word[k]; each block makes four normals.
void ToNormals(const Words& words, int k, int count, float* xi) {
  for (int l = 0; l < count; ++l) {
    xi[l] = NormalsOf({{words.word[0][l], words.word[1][l], words.word[2][l],
                        words.word[3][l]}})
                .value[k];
  }
}

void DrawBlock(const ChainTile& tile, const BlockLaw& law,
               uint32_t first_quad) {
  alignas(64) float xi[kPiece];
  for (int row = 0; row < tile.rows; ++row) {
    VisitWords(tile, row, law.variables, first_quad,
               [&](int64_t first, int count, const Words& words, int k) {
                 const Piece piece = {row, first, count};
                 switch (law.kind) {
                   case BlockLaw::Kind::kBernoulli:
                     DrawBits(tile, law, piece, words.word[k]);
                     break;
                   case BlockLaw::Kind::kCategorical:
                     DrawClasses(tile, law, piece, words.word[k]);
                     break;
                   case BlockLaw::Kind::kNormal:
                     ToNormals(words, k, count, xi);
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
