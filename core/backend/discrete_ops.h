#ifndef BASIN_CORE_BACKEND_DISCRETE_OPS_H_
#define BASIN_CORE_BACKEND_DISCRETE_OPS_H_

// The vocabulary of transitions on binary and categorical states, beside
// TileOps, and of block Gibbs sampling on any. As there, every operation works
// on each row by itself, with sums in a fixed order.
//
// A site is a coordinate that is 0 or 1 (ChainTile::classes = 0), or q =
// `classes` coordinates of which one is 1. It is clamped if the scale of its
// first coordinate is 0, and free otherwise.

#include <cstdint>

#include "core/backend/chain_tile.h"
#include "core/backend/tile_ops.h"

namespace basin {

// What binary or categorical sites feel of each other where every site has
// few neighbours: of site i = 0 .. n - 1 and class a
//
//   parameter = bias[i, a] + sum_k weights[k, i] * x[neighbours[k, i], a].
//
// Without neighbour k, weights[k, i] is 0 and neighbours[k, i] any site.
// Arrays are device memory.
//
// On a lattice, the sites of a colour and their neighbours are mostly every
// other site of the state, and weights and biases often the same. The runs say
// so of kRun sites, i = kRun j + l with l = 0 .. kRun - 1, so that little is
// read for them.
struct NeighbourField {
  static constexpr int kRun = 16;

  enum class Kind : int16_t {
    kNone,
    kStride,   // see below, and the state holds first .. first + 2 kRun - 1
    kUniform,  // that, and the same weight or bias for all
    kAlike,    // that, and all neighbours' runs are uniform with one weight;
               // all such runs of a block have the same weight and bias, so
               // that what matters is how many neighbours are 1
  };
  // neighbours[k, i] = first + 2 l, but for l = odd_lane.
  struct Run {
    int32_t first = 0;
    float weight = 0;
    Kind kind = Kind::kNone;
    int16_t odd_lane = -1;  // none; round the edge of the lattice
  };
  // sites[i] = first + 2 l, for the block's own sites.
  struct SiteRun {
    int32_t first = 0;
    float bias = 0;
    float weight = 0;  // kAlike
    Kind kind = Kind::kNone;
  };
  static constexpr int64_t kMostAlike = 7;  // degree

  int64_t sites = 0;                    // n, those of the block
  int64_t degree = 0;                   // k = 0 .. degree - 1
  int64_t classes = 0;                  // q; 0 = binary
  const int32_t* neighbours = nullptr;  // [degree, n], sites of the state
  const float* weights = nullptr;       // [degree, n]
  const float* bias = nullptr;          // [n], or [n, q]
  // Of binary sites.
  const Run* runs = nullptr;           // [n / kRun, degree]
  const SiteRun* site_runs = nullptr;  // [n / kRun]
};

// Laws of variables that are independent of each other, for the rows of a
// tile, and where their draws belong. Arrays are device memory, owned by whom
// the law came from.
struct BlockLaw {
  enum class Kind {
    kBernoulli,    // P(1) = 1 / (1 + exp(-beta parameter))
    kNormal,       // N(parameter, stddev^2)
    kCategorical,  // P(a) proportional to exp(beta parameter_a)
  };
  Kind kind = Kind::kBernoulli;
  int64_t variables = 0;             // n
  int64_t classes = 0;               // q of kCategorical
  const float* parameter = nullptr;  // [B, n], or [B, n, q]; null: of `field`
  const float* stddev = nullptr;     // [B, n] of kNormal
  float* hidden = nullptr;           // [B, n]; null: they are coordinates,
  const int32_t* sites = nullptr;    // [n]: these sites; or, if null,
  int64_t first_site = 0;            // n sites from here on

  // Parameters that are evaluated as the variables are drawn.
  const NeighbourField* field = nullptr;
  const float* given = nullptr;  // [B, D], the states that the field is of
  float* scratch = nullptr;      // [scratch_floats()]

  // For the parameters of as many variables as are drawn together.
  static constexpr int64_t kPiece = 256;
  int64_t scratch_floats() const {
    return field == nullptr ? 0 : kPiece * (classes == 0 ? 1 : classes);
  }
};

// Stateless. Thread-safe.
class DiscreteOps {
 public:
  virtual ~DiscreteOps() = default;

  // parameter [rows, n] or [rows, n, q] of the law's field, for tests: see
  // DrawBlock(). REQUIRES: law.field is not null.
  virtual void EvaluateField(const BlockLaw& law, int rows, int64_t dimension,
                             float* parameter) const = 0;

  // Draws all variables of `law` into law.hidden or the tile's position, for
  // kNoise from block `first_quad` on: (n + 3) / 4 Philox blocks. Clamped
  // sites, and coordinates whose draw is outside the row's box, keep their
  // values: both leave the law restricted to the rest or the box invariant.
  virtual void DrawBlock(const ChainTile& tile, const BlockLaw& law,
                         uint32_t first_quad) const = 0;

  // Single sites. `move` counts them within a step; rows that make fewer are
  // left alone, see TileOps.
  //
  // proposal = position, but for one free site, chosen uniformly, which gets
  // another class: each of the others alike, or the one after its own, round
  // the clock. A row that has no free site, or no move left, proposes its
  // position.
  enum class SiteClass { kUniform, kNext };
  virtual void ProposeSite(const ChainTile& tile, int move,
                           SiteClass how) const = 0;

  // The proposal's site of `move` gets the class after its own once more.
  virtual void AdvanceSite(const ChainTile& tile, int move) const = 0;

  // Draws one of several candidates as they come, the `candidate`-th after
  // the position itself: the proposal replaces the position with probability
  // exp(-beta proposal_energy) / (that + all before). log_ratio[b] is the
  // logarithm of the sum of all, carried from candidate 1 on.
  virtual void DrawCandidate(const ChainTile& tile, int move,
                             int candidate) const = 0;

  // Many sites weighed by a gradient, with drift c. What a change of one site
  // promises is, with g = grad_energy,
  //
  //   binary       c (2 x_i - 1) g_i
  //   categorical  c (x_i . g_i - g_ij), j not the present class.
  //
  // proposal = position, but for one site: the change is drawn from the
  // softmax of what all changes of free sites promise.
  virtual void ProposeByGradient(const ChainTile& tile) const = 0;

  // A move from one state to another.
  struct MoveDensity {
    const float* from = nullptr;         // [B, D]
    const float* grad_energy = nullptr;  // [B, D], at `from`
    const float* to = nullptr;           // [B, D]
    double sign = 1;
    double* log_density = nullptr;  // [B]
  };
  // log_density[b] += sign * the logarithm of the probability with which
  // ProposeByGradient() at `from` proposes `to`.
  virtual void AddSiteLogProbability(const ChainTile& tile,
                                     const MoveDensity& move) const = 0;

  // Every free site is drawn anew, each by itself, from the softmax over its
  // classes of what the change promises less `move` times its squared length:
  // 1 for a binary site, 2 for a categorical one. Into proposal.
  virtual void ProposeAllSites(const ChainTile& tile) const = 0;

  // The same for ProposeAllSites().
  virtual void AddAllSitesLogProbability(const ChainTile& tile,
                                         const MoveDensity& move) const = 0;
};

}  // namespace basin

#endif  // BASIN_CORE_BACKEND_DISCRETE_OPS_H_
