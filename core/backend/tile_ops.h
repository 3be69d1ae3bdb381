#ifndef BASIN_CORE_BACKEND_TILE_OPS_H_
#define BASIN_CORE_BACKEND_TILE_OPS_H_

// The vocabulary that transitions are written in. Every operation works on
// each row by itself, with sums in a fixed order, so a row's result does not
// depend on its neighbours, the row count or the instruction set: CPU and
// CUDA share one formula per element (core/backend/tile_formulas.h).

#include <cstdint>

#include "core/backend/chain_tile.h"

namespace basin {

// What a random number is for; part of the Philox counter, so that draws of
// one step never coincide. Values are fixed for ever: they are in the bytes
// that a seed stands for.
enum class DrawPurpose : uint8_t {
  kNoise = 0,
  kAccept = 1,
  kInitialState = 2,
  kReplay = 3,
};

// Stateless. Thread-safe.
class TileOps {
 public:
  virtual ~TileOps() = default;

  // to = from - drift * clamp(grad_energy, +-clip) + noise * xi, with xi ~
  // N(0, I) drawn for kNoise at the tile's seed, chain and step; drift, clip
  // and noise are the tile's. `grad_energy` may be null (no drift). With
  // Noise::kOff no xi is drawn. `to` may be `from`.
  enum class Noise { kOff, kOn };
  struct Displacement {
    const float* from = nullptr;         // [B, D]
    const float* grad_energy = nullptr;  // [B, D] or null
    Noise noise = Noise::kOn;
    float* to = nullptr;  // [B, D]
  };
  virtual void Displace(const ChainTile& tile,
                        const Displacement& move) const = 0;

  // Brings x [B, D] into each row's box: by reflection at its faces, which
  // keeps a symmetric move symmetric, or by clipping. A box without bounds
  // leaves x as it is; what is not finite stays not finite, so that a chain
  // that diverged is seen.
  enum class Confinement { kReflect, kClip };
  virtual void Confine(const ChainTile& tile, Confinement how,
                       float* x) const = 0;

  // log_density[b] += sign * -|to - from + drift * grad_energy|^2 /
  // (2 noise^2): the log-density, up to its constant, of Displace() reaching
  // `to`. `clip` is ignored: only unclipped moves have this density.
  struct MoveDensity {
    const float* from = nullptr;         // [B, D]
    const float* grad_energy = nullptr;  // [B, D]
    const float* to = nullptr;           // [B, D]
    double sign = 1;
    double* log_density = nullptr;  // [B]
  };
  virtual void AddMoveLogDensity(const ChainTile& tile,
                                 const MoveDensity& move) const = 0;

  // log_ratio[b] = beta[b] * (energy[b] - proposal_energy[b]), or -inf where
  // that is NaN or the proposal is not finite or outside the row's box.
  virtual void SetEnergyLogRatio(const ChainTile& tile) const = 0;

  // One decision per chain: with log u < log_ratio, u ~ U(0, 1) drawn for
  // kAccept, the proposal's position, energy and (where both are not null)
  // grad_energy replace the chain's; accepted[b] says so.
  virtual void AcceptOrReject(const ChainTile& tile) const = 0;

  // finite[b] = 1 if energy[b] and all of x [B, D]'s row b are finite.
  // Energy may be null.
  virtual void FindFinite(const ChainTile& tile, const float* x,
                          const double* energy, uint8_t* finite) const = 0;
};

}  // namespace basin

#endif  // BASIN_CORE_BACKEND_TILE_OPS_H_
