// The loops of the tile operations on positions, compiled once per instruction
// set: see core/base/cpu_isa.h. Every loop is elementwise or sums in fixed
// lanes, so vectorised bodies and scalar tails give the same bits.

#include <cstddef>
#include <cstdint>

#include "core/backend/cpu/tile_rows.h"
#include "core/backend/cpu/tile_table.h"
#include "core/backend/tile_formulas.h"
#include "core/base/philox.h"

namespace basin::BASIN_ISA {
namespace {

bool HasFactor(const ChainTile& tile, int row) {
  return tile.factor != nullptr && tile.factor[row] != nullptr;
}

// The coordinates [begin, end) of one row of a move; `value` holds their
// normals and is overwritten.
void MoveRow(const ChainTile& tile, const TileOps::Displacement& move, int row,
             int64_t begin, int64_t end, float* value) {
  const int64_t offset = row * tile.dimension;
  const auto count = static_cast<int>(end - begin);
  const float* from = move.from + offset + begin;
  const float noise = tile.coefficients[row].noise;
  if (HasFactor(tile, row)) {
    // xi as it is: ApplyFactor() makes the move.
  } else if (move.grad_energy == nullptr) {
    WithScale(tile, row, [=](const auto& scale) {
      for (int i = 0; i < count; ++i) {
        const float s = scale(begin + i);
        value[i] = Moved(from[i], 0, noise * (s * value[i]), s);
      }
    });
  } else {
    const float* grad = move.grad_energy + offset + begin;
    const float drift = tile.coefficients[row].drift;
    const float clip = tile.coefficients[row].clip;
    WithScale(tile, row, [=](const auto& scale) {
      for (int i = 0; i < count; ++i) {
        const float s = scale(begin + i);
        value[i] = Moved(from[i], DriftPart(drift, grad[i], clip, s),
                         noise * (s * value[i]), s);
      }
    });
  }
  __builtin_memcpy(move.to + offset + begin, value, sizeof(float) * count);
}

// sum_j factor[j] x[j] over j <= i.
float RowProduct(int64_t i, const float* factor, const float* x) {
  float lane[kSumLanes] = {};
  const int64_t whole = (i + 1) - (i + 1) % kSumLanes;
  for (int64_t j = 0; j < whole; j += kSumLanes) {
    for (int l = 0; l < kSumLanes; ++l) lane[l] += factor[j + l] * x[j + l];
  }
  for (int64_t j = whole; j <= i; ++j) lane[j - whole] += factor[j] * x[j];
  for (int width = kSumLanes / 2; width > 0; width /= 2) {
    for (int l = 0; l < width; ++l) lane[l] += lane[l + width];
  }
  return lane[0];
}

// Of `to`, which holds xi, makes from + noise L xi.
void ApplyFactor(const ChainTile& tile, const TileOps::Displacement& move,
                 int row) {
  const int64_t offset = row * tile.dimension;
  float* to = move.to + offset;
  const float noise = tile.coefficients[row].noise;
  WithScale(tile, row, [&](const auto& scale) {
    // From the last on: a coordinate needs the xi of those before it.
    for (int64_t i = tile.dimension - 1; i >= 0; --i) {
      const float product =
          RowProduct(i, tile.factor[row] + i * tile.dimension, to);
      to[i] = Moved(move.from[offset + i], 0, noise * product, scale(i));
    }
  });
}

void DisplaceWithNoise(const ChainTile& tile,
                       const TileOps::Displacement& move) {
  ForNormals(tile, {move.purpose, move.leap},
             [&](int row, int64_t begin, int64_t end, float* value) {
               MoveRow(tile, move, row, begin, end, value);
             });
  for (int row = 0; row < tile.rows; ++row) {
    if (HasFactor(tile, row)) ApplyFactor(tile, move, row);
  }
}

void DisplaceWithoutNoise(const ChainTile& tile,
                          const TileOps::Displacement& move) {
  for (int row = 0; row < tile.rows; ++row) {
    const int64_t offset = row * tile.dimension;
    const float* from = move.from + offset;
    if (move.grad_energy == nullptr) {
      __builtin_memmove(move.to + offset, from, sizeof(float) * tile.dimension);
      continue;
    }
    const float* grad = move.grad_energy + offset;
    const float drift = tile.coefficients[row].drift;
    const float clip = tile.coefficients[row].clip;
    WithScale(tile, row, [&](const auto& scale) {
      FillRow(tile.dimension, move.to + offset, [=](int64_t i) {
        const float s = scale(i);
        const float moved = from[i] - DriftPart(drift, grad[i], clip, s);
        return s == 0 ? from[i] : moved;
      });
    });
  }
}

void Displace(const ChainTile& tile, const TileOps::Displacement& move) {
  if (move.noise == TileOps::Noise::kOn) {
    DisplaceWithNoise(tile, move);
  } else {
    DisplaceWithoutNoise(tile, move);
  }
}

template <typename Box, typename Scale>
void ReflectRow(int64_t dimension, const Box& box, const Scale& scale,
                float* x) {
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
    x[i] = ReflectFar(x[i], box.lower(i), box.upper(i)).x;
  }
}

void Confine(const ChainTile& tile, TileOps::Confinement how, float* x) {
  for (int row = 0; row < tile.rows; ++row) {
    if (!HasFaces(tile, row)) continue;
    float* row_x = x + row * tile.dimension;
    const bool reflects = how == TileOps::Confinement::kReflect;
    if (reflects && HasFactor(tile, row)) continue;
    WithBox(tile, row, [&](const auto& box, const auto& scale) {
      if (reflects) return ReflectRow(tile.dimension, box, scale, row_x);
      for (int64_t i = 0; i < tile.dimension; ++i) {
        const float clipped = ClipInto(row_x[i], box.lower(i), box.upper(i));
        row_x[i] = scale(i) == 0 ? row_x[i] : clipped;
      }
    });
  }
}

// True if all of x is finite and, where it can move, in the box.
template <typename Box, typename Scale>
bool RowIsInside(int64_t dimension, const Box& box, const Scale& scale,
                 const float* x) {
  int outside = 0;
  for (int64_t i = 0; i < dimension; ++i) {
    outside |= static_cast<int>(scale(i) != 0) &
               (static_cast<int>(!(x[i] >= box.lower(i))) |
                static_cast<int>(!(x[i] <= box.upper(i))));
    outside |= static_cast<int>(!IsFiniteFloat(x[i]));
  }
  return outside == 0;
}

void SetEnergyLogRatio(const ChainTile& tile) {
  constexpr double kNever = -__builtin_inf();
  for (int row = 0; row < tile.rows; ++row) {
    const double ratio = static_cast<double>(tile.coefficients[row].beta) *
                         (tile.energy[row] - tile.proposal_energy[row]);
    WithBox(tile, row, [&](const auto& box, const auto& scale) {
      const bool possible = !__builtin_isnan(ratio) &&
                            RowIsInside(tile.dimension, box, scale,
                                        tile.proposal + row * tile.dimension);
      tile.log_ratio[row] = possible ? ratio : kNever;
    });
  }
}

void AddEnergyLogRatio(const ChainTile& tile, const double* from_energy,
                       const double* to_energy) {
  for (int row = 0; row < tile.rows; ++row) {
    tile.log_ratio[row] += static_cast<double>(tile.coefficients[row].beta) *
                           (to_energy[row] - from_energy[row]);
  }
}

// Whether log u < log_ratio; false if that is NaN.
bool Accepts(const ChainTile& tile, const TileOps::Decision& decision,
             int row) {
  const PhiloxBlock draw =
      Philox(tile.seed[row],
             SubstepCounter(0, tile.chain[row], tile.step[row], decision.leap,
                            static_cast<uint8_t>(decision.purpose)));
  return LogOfAcceptDraw(draw) < tile.log_ratio[row];
}

void AcceptOrReject(const ChainTile& tile, const TileOps::Decision& decision) {
  const auto bytes = static_cast<size_t>(tile.dimension) * sizeof(float);
  const bool with_gradient =
      tile.grad_energy != nullptr && tile.proposal_grad_energy != nullptr;
  const bool with_momentum =
      tile.momentum != nullptr && tile.proposal_momentum != nullptr;
  for (int row = 0; row < tile.rows; ++row) {
    const bool moves = decision.leap < StepLength(tile, row);
    const bool accepted = moves && Accepts(tile, decision, row);
    tile.accepted[row] = accepted ? 1 : 0;
    const int64_t offset = row * tile.dimension;
    if (accepted) {
      __builtin_memcpy(tile.position + offset, tile.proposal + offset, bytes);
      tile.energy[row] = tile.proposal_energy[row];
      if (with_gradient) {
        __builtin_memcpy(tile.grad_energy + offset,
                         tile.proposal_grad_energy + offset, bytes);
      }
      if (with_momentum) {
        __builtin_memcpy(tile.momentum + offset,
                         tile.proposal_momentum + offset, bytes);
      }
    } else if (moves && with_momentum) {
      float* momentum = tile.momentum + offset;
      for (int64_t i = 0; i < tile.dimension; ++i) momentum[i] = -momentum[i];
    }
  }
}

void SetLawEnergy(const ChainTile& tile, const TileOps::SeparableLaw& law,
                  const float* x, double* energy, float* grad_energy) {
  for (int row = 0; row < tile.rows; ++row) {
    const int64_t offset = row * tile.dimension;
    double lane[kSumLanes] = {};
    for (int64_t i = 0; i < tile.dimension; ++i) {
      const bool clamped = tile.scale != nullptr && tile.scale[offset + i] == 0;
      const double xi = x[offset + i];
      const double away = xi - law.center;
      const double term =
          law.precision / 2 * away * away + law.slope * xi + law.constant;
      lane[i % kSumLanes] += clamped ? 0 : term;
      if (grad_energy == nullptr) continue;
      grad_energy[offset + i] =
          clamped ? 0 : static_cast<float>(law.precision * away + law.slope);
    }
    energy[row] = AddPairwise(lane);
  }
}

void Blend(const ChainTile& tile, const TileOps::Blending& blending) {
  for (int row = 0; row < tile.rows; ++row) {
    const ChainCoefficients& row_of = tile.coefficients[row];
    const double share = row_of.path;
    double rest = 1 - share;
    if (blending.base == TileOps::PathBase::kLaw) rest /= row_of.beta;
    // At the end the base counts for nothing, even where it is infinite.
    blending.energy[row] = rest == 0 ? blending.end_energy[row]
                                     : rest * blending.base_energy[row] +
                                           share * blending.end_energy[row];
    if (blending.grad_energy == nullptr || rest == 0) continue;
    float* grad = blending.grad_energy + row * tile.dimension;
    const float* base = blending.base_grad_energy + row * tile.dimension;
    for (int64_t i = 0; i < tile.dimension; ++i) {
      grad[i] = static_cast<float>(rest * base[i] + share * grad[i]);
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
    Displace,     Confine, SetEnergyLogRatio, AddEnergyLogRatio, AcceptOrReject,
    SetLawEnergy, Blend,   FindFinite,
};

}  // namespace basin::BASIN_ISA
