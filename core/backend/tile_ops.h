#ifndef BASIN_CORE_BACKEND_TILE_OPS_H_
#define BASIN_CORE_BACKEND_TILE_OPS_H_

// The vocabulary that transitions are written in. Every operation works on
// each row by itself, with sums in a fixed order, so a row's result does not
// depend on its neighbours, the row count or the instruction set: CPU and
// CUDA share one formula per element (core/backend/tile_formulas.h).
//
// s is the tile's `scale`, 1 where it has none. No operation moves a
// coordinate with s_i = 0.
//
// A step may be made of several moves, numbered from 0: leaps of a trajectory,
// or moves in a cheaper energy. A row makes as many as its coefficients `leaps`
// and `jitter` say, see LongestStep(); operations that are told the number of
// the move leave rows alone that have made theirs.

#include <cstdint>

#include "core/backend/chain_tile.h"

namespace basin {

class DiscreteOps;

// What a random number is for; part of the Philox counter, so that draws of
// one step never coincide. Values are fixed for ever: they are in the bytes
// that a seed stands for.
enum class DrawPurpose : uint8_t {
  kNoise = 0,
  kAccept = 1,
  kInitialState = 2,
  kReplay = 3,
  // Of chains that meet: core/scheduler/ensemble.h.
  kSwap = 32,
  kResample = 33,
  kMomentum = 4,
  kFirstMomentum = 5,
  kLength = 6,  // of chain 0, for all chains of a request
  kSurrogateNoise = 7,
  kSurrogateAccept = 8,
};

// Stateless. Thread-safe.
class TileOps {
 public:
  // Moves of one step.
  static constexpr int kMaxLeaps = 1024;

  virtual ~TileOps() = default;

  // to_i = from_i - drift s_i^2 clamp(grad_energy_i, +-clip) + noise s_i xi_i,
  // with xi ~ N(0, I) drawn for `purpose` at the tile's seed, chain and step
  // and for this move; drift, clip and noise are the tile's. `grad_energy` may
  // be null (no drift). With Noise::kOff no xi is drawn. `to` may be `from`.
  // In rows with a factor L, noise (L xi)_i takes the place of noise s_i xi_i
  // where s_i is not 0. REQUIRES for tiles with factors: `grad_energy` is null
  // and `to` is not `from`.
  enum class Noise { kOff, kOn };
  struct Displacement {
    const float* from = nullptr;         // [B, D]
    const float* grad_energy = nullptr;  // [B, D] or null
    Noise noise = Noise::kOn;
    float* to = nullptr;  // [B, D]
    DrawPurpose purpose = DrawPurpose::kNoise;
    int leap = 0;
  };
  virtual void Displace(const ChainTile& tile,
                        const Displacement& move) const = 0;

  // Brings x [B, D] into each row's box: by reflection at its faces, which
  // keeps a symmetric move symmetric, or by clipping. A box without bounds
  // leaves x as it is; what is not finite stays not finite, so that a chain
  // that diverged is seen. Reflection leaves rows with a factor alone:
  // reflected moves with correlations are not symmetric.
  enum class Confinement { kReflect, kClip };
  virtual void Confine(const ChainTile& tile, Confinement how,
                       float* x) const = 0;

  // log_ratio[b] = beta[b] * (energy[b] - proposal_energy[b]), or -inf where
  // that is NaN or the proposal is not finite or outside the row's box in a
  // coordinate that is not clamped.
  virtual void SetEnergyLogRatio(const ChainTile& tile) const = 0;

  // log_ratio[b] += beta[b] * (to_energy[b] - from_energy[b]).
  virtual void AddEnergyLogRatio(const ChainTile& tile,
                                 const double* from_energy,
                                 const double* to_energy) const = 0;

  // One decision per chain: with log u < log_ratio, u ~ U(0, 1) drawn for
  // `purpose` and this move, the proposal's position, energy and (where both
  // are not null) grad_energy and momentum replace the chain's; accepted[b]
  // says so. Where it is rejected, the momentum, if any, is reversed: without
  // that, a momentum that is kept breaks detailed balance.
  struct Decision {
    DrawPurpose purpose = DrawPurpose::kAccept;
    int leap = 0;
  };
  virtual void AcceptOrReject(const ChainTile& tile,
                              const Decision& decision) const = 0;
  void AcceptOrReject(const ChainTile& tile) const { AcceptOrReject(tile, {}); }

  // energy[b] = sum_i precision / 2 (x_i - center)^2 + slope x_i + constant,
  // and grad_energy its gradient, over coordinates with s_i > 0, of x [B, D]:
  // -ln p of a law of independent coordinates. `grad_energy` may be null.
  struct SeparableLaw {
    double precision = 0;
    double center = 0;
    double slope = 0;
    double constant = 0;
  };
  virtual void SetLawEnergy(const ChainTile& tile, const SeparableLaw& law,
                            const float* x, double* energy,
                            float* grad_energy) const = 0;

  // energy[b] = (1 - path) base_energy[b] + path end_energy[b], and
  // grad_energy, where it is not null, becomes the same of itself: a point on
  // the path from one energy to another. kLaw: the base is -ln p of a law,
  // whatever beta is, so that it is divided by beta.
  enum class PathBase { kLaw, kModel };
  struct Blending {
    PathBase base = PathBase::kLaw;
    const double* base_energy = nullptr;      // [B]
    const float* base_grad_energy = nullptr;  // [B, D] or null
    const double* end_energy = nullptr;       // [B]
    double* energy = nullptr;                 // [B]
    float* grad_energy = nullptr;             // [B, D] or null
  };
  virtual void Blend(const ChainTile& tile, const Blending& blending) const = 0;

  // finite[b] = 1 if energy[b] and all of x [B, D]'s row b are finite.
  // Energy may be null.
  virtual void FindFinite(const ChainTile& tile, const float* x,
                          const double* energy, uint8_t* finite) const = 0;

  // In rows at step 0, momentum = xi ~ N(0, I), 0 where s_i = 0.
  virtual void StartMomentum(const ChainTile& tile) const = 0;

  // momentum_i = persistence * momentum_i + noise * xi_i, 0 where s_i = 0. The
  // old momentum is not read where the persistence is 0.
  virtual void RefreshMomentum(const ChainTile& tile, Noise noise) const = 0;

  // to_i = from_i - share * drift * s_i * grad_energy_i, of momenta. `to` may
  // be `from`, and is so after the first leap.
  struct MomentumKick {
    const float* from = nullptr;         // [B, D]
    const float* grad_energy = nullptr;  // [B, D]
    float share = 1;
    float* to = nullptr;  // [B, D]
    int leap = 0;
  };
  virtual void Kick(const ChainTile& tile, const MomentumKick& kick) const = 0;

  // to_i = from_i + share * move * s_i * momentum_i, of positions, kept in the
  // box: reflected at its faces, each time with the sign of momentum_i
  // changed, or stopped there with momentum_i = 0 (kClip). `to` may be `from`,
  // and is so after the first leap.
  struct Flight {
    const float* from = nullptr;  // [B, D]
    float* momentum = nullptr;    // [B, D]
    float share = 1;
    Confinement at_faces = Confinement::kReflect;
    float* to = nullptr;  // [B, D]
    int leap = 0;
  };
  virtual void Fly(const ChainTile& tile, const Flight& flight) const = 0;

  // log_density[b] += sign * |momentum_b|^2 / 2.
  virtual void AddKineticEnergy(const ChainTile& tile, const float* momentum,
                                double sign, double* log_density) const = 0;

  // The largest number of moves that a row makes in this step. Each makes a
  // number drawn for kLength at its seed and step alone, uniformly from
  // [ceil((1 - jitter) leaps), leaps].
  virtual int LongestStep(const ChainTile& tile) const = 0;

  // The operations on binary and categorical states, of blocks and sites.
  virtual const DiscreteOps& discrete() const = 0;
};

}  // namespace basin

#endif  // BASIN_CORE_BACKEND_TILE_OPS_H_
