// The tile operations' loops, compiled once per instruction set: see
// core/base/cpu_isa.h. Every loop is elementwise or sums in fixed lanes, so
// vectorised bodies and scalar tails give the same bits.

#include <cstddef>
#include <cstdint>

#include "core/backend/cpu/tile_table.h"
#include "core/backend/tile_formulas.h"
#include "core/base/normal.h"
#include "core/base/philox.h"

namespace basin::BASIN_ISA {
namespace {

// Philox blocks that are computed together.
constexpr int kBlocks = 256;

// Structure of arrays: `count` Philox blocks and their normals.
struct NormalBatch {
  alignas(64) uint32_t counter[4][kBlocks];
  alignas(64) uint32_t key[2][kBlocks];
  alignas(64) float value[4 * kBlocks];  // block l's are 4l .. 4l + 3
};

// Sets the counters of `count` blocks from `quad` on of the row's noise.
void FillCounters(const ChainTile& tile, int row, int64_t quad, int first,
                  int count, NormalBatch& batch) {
  const PhiloxBlock start =
      DrawCounter(static_cast<uint32_t>(quad), tile.chain[row], tile.step[row],
                  static_cast<uint8_t>(DrawPurpose::kNoise));
  const auto key0 = static_cast<uint32_t>(tile.seed[row]);
  const auto key1 = static_cast<uint32_t>(tile.seed[row] >> 32);
  for (int l = 0; l < count; ++l) {
    batch.counter[0][first + l] = start.word[0] + static_cast<uint32_t>(l);
    batch.counter[1][first + l] = start.word[1];
    batch.counter[2][first + l] = start.word[2];
    batch.counter[3][first + l] = start.word[3];
    batch.key[0][first + l] = key0;
    batch.key[1][first + l] = key1;
  }
}

// Computes the normals of the first `count` blocks.
void DrawNormals(int count, NormalBatch& batch) {
  alignas(64) float normal[4][kBlocks];
  for (int l = 0; l < count; ++l) {
    const uint64_t key =
        static_cast<uint64_t>(batch.key[1][l]) << 32 | batch.key[0][l];
    const NormalQuad quad =
        NormalsOf(Philox(key, {{batch.counter[0][l], batch.counter[1][l],
                                batch.counter[2][l], batch.counter[3][l]}}));
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

// The coordinates [begin, end) of one row of a move; `value` holds their
// normals and is overwritten: it aliases nothing, so the loops vectorise.
void MoveRow(const ChainTile& tile, const TileOps::Displacement& move, int row,
             int64_t begin, int64_t end, float* value) {
  const int64_t offset = row * tile.dimension + begin;
  const auto count = static_cast<int>(end - begin);
  const float* from = move.from + offset;
  const float noise = tile.noise[row];
  if (move.grad_energy == nullptr) {
    for (int i = 0; i < count; ++i) value[i] = from[i] + noise * value[i];
  } else {
    const float* grad = move.grad_energy + offset;
    const float drift = tile.drift[row];
    const float clip = tile.clip[row];
    for (int i = 0; i < count; ++i) {
      value[i] =
          from[i] - drift * ClampMagnitude(grad[i], clip) + noise * value[i];
    }
  }
  __builtin_memcpy(move.to + offset, value, sizeof(float) * count);
}

// A place in the noise of a tile: the next Philox block of a row.
struct Cursor {
  int row = 0;
  int64_t quad = 0;
};

// Sets the counters of up to kBlocks blocks from `cursor` on, over as many rows
// as they reach, so that tiny dimensions are as fast as large ones. Moves the
// cursor behind them and returns their number.
int FillBatch(const ChainTile& tile, Cursor& cursor, NormalBatch& batch) {
  const int64_t quads = (tile.dimension + 3) / 4;  // of a row
  int count = 0;
  while (cursor.row < tile.rows && count < kBlocks) {
    const int64_t left = quads - cursor.quad;
    const int room = kBlocks - count;
    const int taken = left < room ? static_cast<int>(left) : room;
    FillCounters(tile, cursor.row, cursor.quad, count, taken, batch);
    count += taken;
    cursor.quad += taken;
    if (cursor.quad == quads) cursor = {cursor.row + 1, 0};
  }
  return count;
}

void DisplaceWithNoise(const ChainTile& tile,
                       const TileOps::Displacement& move) {
  NormalBatch batch;
  Cursor next;
  while (next.row < tile.rows) {
    Cursor at = next;
    const int count = FillBatch(tile, next, batch);
    DrawNormals(count, batch);
    for (int done = 0; done < count; at = {at.row + 1, 0}) {
      const int64_t begin = 4 * at.quad;
      const int64_t reach = begin + 4 * static_cast<int64_t>(count - done);
      const int64_t end = reach < tile.dimension ? reach : tile.dimension;
      MoveRow(tile, move, at.row, begin, end, batch.value + 4 * done);
      done += static_cast<int>((end - begin + 3) / 4);
    }
  }
}

void DisplaceWithoutNoise(const ChainTile& tile,
                          const TileOps::Displacement& move) {
  constexpr int64_t kPiece = 1024;
  alignas(64) float value[kPiece];
  for (int row = 0; row < tile.rows; ++row) {
    const float drift = tile.drift[row];
    const float clip = tile.clip[row];
    for (int64_t begin = 0; begin < tile.dimension; begin += kPiece) {
      const int64_t left = tile.dimension - begin;
      const auto count = static_cast<int>(left < kPiece ? left : kPiece);
      const int64_t offset = row * tile.dimension + begin;
      const float* from = move.from + offset;
      if (move.grad_energy == nullptr) {
        __builtin_memmove(move.to + offset, from, sizeof(float) * count);
        continue;
      }
      const float* grad = move.grad_energy + offset;
      for (int i = 0; i < count; ++i) {
        value[i] = from[i] - drift * ClampMagnitude(grad[i], clip);
      }
      __builtin_memcpy(move.to + offset, value, sizeof(float) * count);
    }
  }
}

void Displace(const ChainTile& tile, const TileOps::Displacement& move) {
  if (move.noise == TileOps::Noise::kOn) {
    DisplaceWithNoise(tile, move);
  } else {
    DisplaceWithoutNoise(tile, move);
  }
}

void ClipRow(int64_t dimension, float lower, float upper, float* x) {
  for (int64_t i = 0; i < dimension; ++i) x[i] = ClipInto(x[i], lower, upper);
}

void ReflectRow(int64_t dimension, float lower, float upper, float* x) {
  int outside = 0;
  for (int64_t i = 0; i < dimension; ++i) {
    x[i] = ReflectOnce(x[i], lower, upper);
    outside |= static_cast<int>(x[i] < lower) | static_cast<int>(x[i] > upper);
  }
  if (outside == 0) return;
  for (int64_t i = 0; i < dimension; ++i) {
    if (x[i] < lower || x[i] > upper) x[i] = ReflectFar(x[i], lower, upper);
  }
}

void Confine(const ChainTile& tile, TileOps::Confinement how, float* x) {
  for (int row = 0; row < tile.rows; ++row) {
    const float lower = tile.lower[row];
    const float upper = tile.upper[row];
    if (!IsFiniteFloat(lower) && !IsFiniteFloat(upper)) continue;
    float* row_x = x + row * tile.dimension;
    if (how == TileOps::Confinement::kClip) {
      ClipRow(tile.dimension, lower, upper, row_x);
    } else {
      ReflectRow(tile.dimension, lower, upper, row_x);
    }
  }
}

double AddPairwise(double (&lane)[kSumLanes]) {
  for (int width = kSumLanes / 2; width > 0; width /= 2) {
    for (int l = 0; l < width; ++l) lane[l] += lane[l + width];
  }
  return lane[0];
}

double SumOfMoveSquares(int64_t dimension, const float* from,
                        const float* grad_energy, const float* to,
                        double drift) {
  double lane[kSumLanes] = {};
  const int64_t whole = dimension - dimension % kSumLanes;
  for (int64_t i = 0; i < whole; i += kSumLanes) {
    for (int l = 0; l < kSumLanes; ++l) {
      lane[l] += MoveSquare(from[i + l], grad_energy[i + l], to[i + l], drift);
    }
  }
  for (int64_t i = whole; i < dimension; ++i) {
    lane[i - whole] += MoveSquare(from[i], grad_energy[i], to[i], drift);
  }
  return AddPairwise(lane);
}

void AddMoveLogDensity(const ChainTile& tile,
                       const TileOps::MoveDensity& move) {
  for (int row = 0; row < tile.rows; ++row) {
    const int64_t offset = row * tile.dimension;
    const double noise = tile.noise[row];
    const double squares = SumOfMoveSquares(tile.dimension, move.from + offset,
                                            move.grad_energy + offset,
                                            move.to + offset, tile.drift[row]);
    move.log_density[row] -= move.sign * squares / (2 * noise * noise);
  }
}

// True if all of x is finite and in the box.
bool RowIsInside(int64_t dimension, float lower, float upper, const float* x) {
  int outside = 0;
  for (int64_t i = 0; i < dimension; ++i) {
    outside |= static_cast<int>(!(x[i] >= lower)) |
               static_cast<int>(!(x[i] <= upper)) |
               static_cast<int>(!IsFiniteFloat(x[i]));
  }
  return outside == 0;
}

void SetEnergyLogRatio(const ChainTile& tile) {
  constexpr double kNever = -__builtin_inf();
  for (int row = 0; row < tile.rows; ++row) {
    const double ratio = static_cast<double>(tile.beta[row]) *
                         (tile.energy[row] - tile.proposal_energy[row]);
    const bool possible =
        !__builtin_isnan(ratio) &&
        RowIsInside(tile.dimension, tile.lower[row], tile.upper[row],
                    tile.proposal + row * tile.dimension);
    tile.log_ratio[row] = possible ? ratio : kNever;
  }
}

void AcceptOrReject(const ChainTile& tile) {
  const auto bytes = static_cast<size_t>(tile.dimension) * sizeof(float);
  const bool with_gradient =
      tile.grad_energy != nullptr && tile.proposal_grad_energy != nullptr;
  for (int row = 0; row < tile.rows; ++row) {
    const PhiloxBlock draw =
        Philox(tile.seed[row],
               DrawCounter(0, tile.chain[row], tile.step[row],
                           static_cast<uint8_t>(DrawPurpose::kAccept)));
    // False if the ratio is NaN.
    const bool accepted = LogOfAcceptDraw(draw) < tile.log_ratio[row];
    tile.accepted[row] = accepted ? 1 : 0;
    if (!accepted) continue;
    const int64_t offset = row * tile.dimension;
    __builtin_memcpy(tile.position + offset, tile.proposal + offset, bytes);
    tile.energy[row] = tile.proposal_energy[row];
    if (with_gradient) {
      __builtin_memcpy(tile.grad_energy + offset,
                       tile.proposal_grad_energy + offset, bytes);
    }
  }
}

void FindFinite(const ChainTile& tile, const float* x, const double* energy,
                uint8_t* finite) {
  for (int row = 0; row < tile.rows; ++row) {
    const float* row_x = x + row * tile.dimension;
    int bad =
        energy == nullptr ? 0 : static_cast<int>(!IsFiniteDouble(energy[row]));
    for (int64_t i = 0; i < tile.dimension; ++i) {
      bad |= static_cast<int>(!IsFiniteFloat(row_x[i]));
    }
    finite[row] = bad == 0 ? 1 : 0;
  }
}

}  // namespace

extern const TileTable kTileTable;
const TileTable kTileTable = {
    Displace,          Confine,        AddMoveLogDensity,
    SetEnergyLogRatio, AcceptOrReject, FindFinite,
};

}  // namespace basin::BASIN_ISA
