// The loops of the tile operations on momenta, compiled once per instruction
// set: see tile_ops_isa.cc.

#include <cstdint>

#include "core/backend/cpu/tile_rows.h"
#include "core/backend/cpu/tile_table.h"
#include "core/backend/tile_formulas.h"

namespace basin::BASIN_ISA {
namespace {

void StartMomentum(const ChainTile& tile) {
  bool any = false;
  for (int row = 0; row < tile.rows; ++row) any |= tile.step[row] == 0;
  if (!any) return;
  ForNormals(tile, {DrawPurpose::kFirstMomentum},
             [&](int row, int64_t begin, int64_t end, float* xi) {
               if (tile.step[row] != 0) return;
               float* to = tile.momentum + row * tile.dimension + begin;
               WithScale(tile, row, [&](const auto& scale) {
                 for (int64_t i = begin; i < end; ++i) {
                   to[i - begin] = scale(i) == 0 ? 0.0F : xi[i - begin];
                 }
               });
             });
}

// Without noise: the momentum is damped.
void DampMomentum(const ChainTile& tile) {
  for (int row = 0; row < tile.rows; ++row) {
    const float persistence = tile.coefficients[row].persistence;
    float* momentum = tile.momentum + row * tile.dimension;
    WithScale(tile, row, [&](const auto& scale) {
      FillRow(tile.dimension, momentum, [=](int64_t i) {
        const float kept = persistence == 0 ? 0.0F : persistence * momentum[i];
        return scale(i) == 0 ? 0.0F : kept;
      });
    });
  }
}

// The coordinates [begin, end) of one row; `value` holds their normals and is
// overwritten.
void RefreshRow(const ChainTile& tile, int row, int64_t begin, int64_t end,
                float* value) {
  const auto count = static_cast<int>(end - begin);
  float* momentum = tile.momentum + row * tile.dimension + begin;
  const float persistence = tile.coefficients[row].persistence;
  const float noise = tile.coefficients[row].noise;
  WithScale(tile, row, [&](const auto& scale) {
    for (int i = 0; i < count; ++i) {
      const float kept = persistence == 0 ? 0.0F : persistence * momentum[i];
      const float fresh = kept + noise * value[i];
      value[i] = scale(begin + i) == 0 ? 0.0F : fresh;
    }
  });
  __builtin_memcpy(momentum, value, sizeof(float) * count);
}

void RefreshMomentum(const ChainTile& tile, TileOps::Noise noise) {
  if (noise == TileOps::Noise::kOff) return DampMomentum(tile);
  ForNormals(tile, {DrawPurpose::kMomentum},
             [&](int row, int64_t begin, int64_t end, float* value) {
               RefreshRow(tile, row, begin, end, value);
             });
}

void Kick(const ChainTile& tile, const TileOps::MomentumKick& kick) {
  for (int row = 0; row < tile.rows; ++row) {
    if (kick.leap >= StepLength(tile, row)) continue;
    const int64_t offset = row * tile.dimension;
    const float* from = kick.from + offset;
    const float* grad = kick.grad_energy + offset;
    const float drift = kick.share * tile.coefficients[row].drift;
    WithScale(tile, row, [&](const auto& scale) {
      FillRow(tile.dimension, kick.to + offset, [=](int64_t i) {
        return Kicked(from[i], drift, grad[i], scale(i));
      });
    });
  }
}

// Reflects x [D], and the momentum with it. What is clamped has none.
template <typename Box, typename Scale>
void BounceRow(int64_t dimension, const Box& box, const Scale& scale, float* x,
               float* momentum) {
  // Two loops: gcc does not vectorise one.
  for (int64_t i = 0; i < dimension; ++i) {
    momentum[i] *= SignOfReflectOnce(x[i], box.lower(i), box.upper(i));
  }
  int outside = 0;
  for (int64_t i = 0; i < dimension; ++i) {
    const float lower = box.lower(i);
    const float upper = box.upper(i);
    x[i] = scale(i) == 0 ? x[i] : ReflectOnce(x[i], lower, upper);
    outside |= static_cast<int>(x[i] < lower) | static_cast<int>(x[i] > upper);
  }
  if (outside == 0) return;
  for (int64_t i = 0; i < dimension; ++i) {
    if (scale(i) == 0) continue;
    if (x[i] >= box.lower(i) && x[i] <= box.upper(i)) continue;
    const Reflected far = ReflectFar(x[i], box.lower(i), box.upper(i));
    x[i] = far.x;
    momentum[i] *= far.sign;
  }
}

// Clips x [D] into the box; what was outside stops there.
template <typename Box, typename Scale>
void StopRow(int64_t dimension, const Box& box, const Scale& scale, float* x,
             float* momentum) {
  for (int64_t i = 0; i < dimension; ++i) {
    const float clipped = ClipInto(x[i], box.lower(i), box.upper(i));
    const bool stops = scale(i) != 0 && clipped != x[i];
    momentum[i] = stops ? 0.0F : momentum[i];
    x[i] = scale(i) == 0 ? x[i] : clipped;
  }
}

void FlyRow(const ChainTile& tile, const TileOps::Flight& flight, int row) {
  const int64_t offset = row * tile.dimension;
  const float* from = flight.from + offset;
  float* momentum = flight.momentum + offset;
  float* to = flight.to + offset;
  const float time = flight.share * tile.coefficients[row].move;
  WithScale(tile, row, [&](const auto& scale) {
    FillRow(tile.dimension, to, [=](int64_t i) {
      const float s = scale(i);
      return Moved(from[i], 0, time * (s * momentum[i]), s);
    });
  });
  if (!HasFaces(tile, row)) return;
  WithBox(tile, row, [&](const auto& box, const auto& scale) {
    if (flight.at_faces == TileOps::Confinement::kReflect) {
      BounceRow(tile.dimension, box, scale, to, momentum);
    } else {
      StopRow(tile.dimension, box, scale, to, momentum);
    }
  });
}

void Fly(const ChainTile& tile, const TileOps::Flight& flight) {
  for (int row = 0; row < tile.rows; ++row) {
    if (flight.leap < StepLength(tile, row)) FlyRow(tile, flight, row);
  }
}

void AddKineticEnergy(const ChainTile& tile, const float* momentum, double sign,
                      double* log_density) {
  for (int row = 0; row < tile.rows; ++row) {
    const float* p = momentum + row * tile.dimension;
    const double squares = SumOfRow(tile.dimension, [=](int64_t i) {
      return static_cast<double>(p[i]) * p[i];
    });
    log_density[row] += sign * squares / 2;
  }
}

int LongestStep(const ChainTile& tile) {
  int longest = 0;
  for (int row = 0; row < tile.rows; ++row) {
    const int length = StepLength(tile, row);
    longest = length > longest ? length : longest;
  }
  return longest;
}

}  // namespace

extern const MomentumTable kMomentumTable;
const MomentumTable kMomentumTable = {
    StartMomentum, RefreshMomentum, Kick, Fly, AddKineticEnergy, LongestStep,
};

}  // namespace basin::BASIN_ISA
