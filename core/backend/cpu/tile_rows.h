#ifndef BASIN_CORE_BACKEND_CPU_TILE_ROWS_H_
#define BASIN_CORE_BACKEND_CPU_TILE_ROWS_H_

// What the loops of the tile operations share: normals for a tile, and a row's
// scale and box. For files that are compiled once per instruction set, see
// core/base/cpu_isa.h; everything here is private to each of them.

#include <cstddef>
#include <cstdint>

#include "core/backend/chain_tile.h"
#include "core/backend/cpu/philox_batch.h"
#include "core/backend/tile_formulas.h"
#include "core/backend/tile_ops.h"
#include "core/base/normal.h"
#include "core/base/philox.h"

namespace basin::BASIN_ISA {
namespace {

// Which random numbers of the chains of a tile.
struct NormalDraws {
  DrawPurpose purpose = DrawPurpose::kNoise;
  int leap = 0;
};

struct NormalBatch {
  PhiloxBatch blocks;
  alignas(64) float value[4 * kPiece];  // block l's are 4l .. 4l + 3
};

// Sets the counters of `count` blocks from `quad` on of the row's draws.
void FillCounters(const ChainTile& tile, const NormalDraws& draws, int row,
                  int64_t quad, int first, int count, NormalBatch& batch) {
  const PhiloxBlock start = SubstepCounter(
      static_cast<uint32_t>(quad), tile.chain[row], tile.step[row], draws.leap,
      static_cast<uint8_t>(draws.purpose));
  SetCounters(tile.seed[row], start, first, count, batch.blocks);
}

// Computes the normals of the first `count` blocks.
void DrawNormals(int count, NormalBatch& batch) {
  DrawPhilox(count, batch.blocks);
  const auto& word = batch.blocks.word;
  alignas(64) float normal[4][kPiece];
  for (int l = 0; l < count; ++l) {
    const NormalQuad quad =
        NormalsOf({{word[0][l], word[1][l], word[2][l], word[3][l]}});
    normal[0][l] = quad.value[0];
    normal[1][l] = quad.value[1];
    normal[2][l] = quad.value[2];
    normal[3][l] = quad.value[3];
  }
  for (int l = 0; l < count; ++l) {
    batch.value[4 * l] = normal[0][l];
    batch.value[4 * l + 1] = normal[1][l];
    batch.value[4 * l + 2] = normal[2][l];
    batch.value[4 * l + 3] = normal[3][l];
  }
}

// A place in the noise of a tile: the next Philox block of a row.
struct Cursor {
  int row = 0;
  int64_t quad = 0;
};

// Sets the counters of up to kPiece blocks from `cursor` on, over as many rows
// as they reach, so that tiny dimensions are as fast as large ones. Moves the
// cursor behind them and returns their number.
int FillBatch(const ChainTile& tile, const NormalDraws& draws, Cursor& cursor,
              NormalBatch& batch) {
  const int64_t quads = (tile.dimension + 3) / 4;  // of a row
  int count = 0;
  while (cursor.row < tile.rows && count < kPiece) {
    const int64_t left = quads - cursor.quad;
    const int room = kPiece - count;
    const int taken = left < room ? static_cast<int>(left) : room;
    FillCounters(tile, draws, cursor.row, cursor.quad, count, taken, batch);
    count += taken;
    cursor.quad += taken;
    if (cursor.quad == quads) cursor = {cursor.row + 1, 0};
  }
  return count;
}

// Calls use(row, begin, end, xi) for pieces of all rows: xi[i - begin] is the
// normal of coordinate i. The piece may be overwritten, and aliases nothing,
// so that loops over it are vectorised.
template <typename Use>
void ForNormals(const ChainTile& tile, const NormalDraws& draws,
                const Use& use) {
  NormalBatch batch;
  Cursor next;
  while (next.row < tile.rows) {
    Cursor at = next;
    const int count = FillBatch(tile, draws, next, batch);
    DrawNormals(count, batch);
    for (int done = 0; done < count; at = {at.row + 1, 0}) {
      const int64_t begin = 4 * at.quad;
      const int64_t reach = begin + 4 * static_cast<int64_t>(count - done);
      const int64_t end = reach < tile.dimension ? reach : tile.dimension;
      use(at.row, begin, end, batch.value + 4 * done);
      done += static_cast<int>((end - begin + 3) / 4);
    }
  }
}

// A row's scale, or 1.
struct RowScale {
  const float* value;
  float operator()(int64_t i) const { return value[i]; }
};
struct UnitScale {
  float operator()(int64_t /*i*/) const { return 1; }
};

// Calls use(scale) with the row's scale, a function of the coordinate.
template <typename Use>
void WithScale(const ChainTile& tile, int row, const Use& use) {
  if (tile.scale == nullptr) {
    use(UnitScale{});
  } else {
    use(RowScale{tile.scale + row * tile.dimension});
  }
}

// A row's box: faces of its own for each coordinate, or the same for all.
struct CoordinateBox {
  const float* lower_faces;
  const float* upper_faces;
  float lower(int64_t i) const { return lower_faces[i]; }
  float upper(int64_t i) const { return upper_faces[i]; }
};
struct CubeBox {
  float lower_face;
  float upper_face;
  float lower(int64_t /*i*/) const { return lower_face; }
  float upper(int64_t /*i*/) const { return upper_face; }
};

// Calls use(box, scale) with the row's.
template <typename Use>
void WithBox(const ChainTile& tile, int row, const Use& use) {
  WithScale(tile, row, [&](const auto& scale) {
    if (tile.box_columns == 1) {
      use(CubeBox{tile.lower[row], tile.upper[row]}, scale);
    } else {
      const int64_t offset = row * tile.box_columns;
      use(CoordinateBox{tile.lower + offset, tile.upper + offset}, scale);
    }
  });
}

// False if nothing can lie outside the row's box.
bool HasFaces(const ChainTile& tile, int row) {
  return tile.box_columns != 1 || IsFiniteFloat(tile.lower[row]) ||
         IsFiniteFloat(tile.upper[row]);
}

// to[i] = formula(i) for i in [0, count). `to` may be what the formula reads,
// at the same place.
template <typename Formula>
void FillRow(int64_t count, float* to, const Formula& formula) {
  constexpr int64_t kPiece = 1024;
  alignas(64) float value[kPiece];
  for (int64_t begin = 0; begin < count; begin += kPiece) {
    const int64_t left = count - begin;
    const auto size = static_cast<int>(left < kPiece ? left : kPiece);
    for (int i = 0; i < size; ++i) value[i] = formula(begin + i);
    __builtin_memcpy(to + begin, value, sizeof(float) * size);
  }
}

double AddPairwise(double (&lane)[kSumLanes]) {
  for (int width = kSumLanes / 2; width > 0; width /= 2) {
    for (int l = 0; l < width; ++l) lane[l] += lane[l + width];
  }
  return lane[0];
}

// The sum of term(i) for i in [0, count), in the order of tile_formulas.h.
template <typename Term>
double SumOfRow(int64_t count, const Term& term) {
  double lane[kSumLanes] = {};
  const int64_t whole = count - count % kSumLanes;
  for (int64_t i = 0; i < whole; i += kSumLanes) {
    for (int l = 0; l < kSumLanes; ++l) lane[l] += term(i + l);
  }
  for (int64_t i = whole; i < count; ++i) lane[i - whole] += term(i);
  return AddPairwise(lane);
}

// The moves of row `row` in this step.
int StepLength(const ChainTile& tile, int row) {
  const ChainCoefficients& of = tile.coefficients[row];
  if (of.jitter == 0) return of.leaps;
  return LengthOf(
      of.leaps, of.jitter,
      Philox(tile.seed[row],
             DrawCounter(0, 0, tile.step[row],
                         static_cast<uint8_t>(DrawPurpose::kLength))));
}

}  // namespace
}  // namespace basin::BASIN_ISA

#endif  // BASIN_CORE_BACKEND_CPU_TILE_ROWS_H_
