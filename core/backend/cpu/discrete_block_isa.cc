// Block laws and their draws, compiled once per instruction set: see
// core/base/cpu_isa.h.

#include <cstddef>
#include <cstdint>

#include "core/backend/cpu/discrete_table.h"
#include "core/backend/cpu/neighbour_runs.h"
#include "core/backend/cpu/site_words.h"
#include "core/backend/discrete_formulas.h"
#include "core/backend/tile_formulas.h"
#include "core/base/normal.h"
#include "core/base/philox.h"

namespace basin::BASIN_ISA {
namespace {

static_assert(kPiece <= BlockLaw::kPiece);

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
