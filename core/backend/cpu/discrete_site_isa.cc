// Moves of single sites, compiled once per instruction set: see
// core/base/cpu_isa.h.

#include <cstddef>
#include <cstdint>

#include "core/backend/cpu/discrete_table.h"
#include "core/backend/discrete_formulas.h"
#include "core/backend/tile_formulas.h"
#include "core/base/normal.h"
#include "core/base/philox.h"

namespace basin::BASIN_ISA {
namespace {

int64_t WidthOf(const ChainTile& tile) {
  return tile.classes == 0 ? 1 : tile.classes;
}

// One site of one row.
struct Site {
  int64_t begin = -1;       // its first coordinate in [B, D]; -1 = none is free
  uint32_t class_bits = 0;  // of its draw
};

// The number of the free site that is `nth` of them; or, with nth = -1, how
// many there are.
int64_t FindFree(const float* scale, int64_t sites, int64_t width,
                 int64_t nth) {
  int64_t free = 0;
  for (int64_t site = 0; site < sites; ++site) {
    if (scale[site * width] == 0) continue;
    if (free == nth) return site;
    ++free;
  }
  return free;
}

// The one that `move` is about; none if the row makes no such move.
Site PickSite(const ChainTile& tile, int row, int move) {
  Site site;
  if (move >= tile.coefficients[row].leaps) return site;
  const PhiloxBlock draw = Philox(
      tile.seed[row],
      DrawCounter(static_cast<uint32_t>(move), tile.chain[row], tile.step[row],
                  static_cast<uint8_t>(DrawPurpose::kNoise)));
  const int64_t width = WidthOf(tile);
  const int64_t sites = tile.dimension / width;
  const int64_t offset = row * tile.dimension;
  site.class_bits = draw.word[1];
  if (tile.scale == nullptr) {
    site.begin = offset + UniformBelow(sites, draw.word[0]) * width;
    return site;
  }
  const float* scale = tile.scale + offset;
  const int64_t free = FindFree(scale, sites, width, -1);
  if (free == 0) return site;
  const int64_t nth = UniformBelow(free, draw.word[0]);
  site.begin = offset + FindFree(scale, sites, width, nth) * width;
  return site;
}

// Gives the site at x the class that comes `ahead` after its own.
void AdvanceClass(int64_t classes, int64_t ahead, float* x) {
  if (classes == 0) {
    *x = 1 - *x;
    return;
  }
  int64_t present = 0;
  for (int64_t a = 0; a < classes; ++a) {
    if (x[a] > 0.5F) present = a;
    x[a] = 0;
  }
  x[(present + ahead) % classes] = 1;
}

void ProposeSite(const ChainTile& tile, int move, DiscreteOps::SiteClass how) {
  const auto bytes = static_cast<size_t>(tile.dimension) * sizeof(float);
  for (int row = 0; row < tile.rows; ++row) {
    const int64_t offset = row * tile.dimension;
    __builtin_memcpy(tile.proposal + offset, tile.position + offset, bytes);
    const Site site = PickSite(tile, row, move);
    if (site.begin < 0) continue;
    const bool uniform =
        how == DiscreteOps::SiteClass::kUniform && tile.classes > 2;
    const int64_t ahead =
        uniform ? 1 + UniformBelow(tile.classes - 1, site.class_bits) : 1;
    AdvanceClass(tile.classes, ahead, tile.proposal + site.begin);
  }
}

void AdvanceSite(const ChainTile& tile, int move) {
  for (int row = 0; row < tile.rows; ++row) {
    const Site site = PickSite(tile, row, move);
    if (site.begin < 0) continue;
    AdvanceClass(tile.classes, 1, tile.proposal + site.begin);
  }
}

// The proposal, which differs at the site of `move` alone, becomes the row's
// position. REQUIRES: there is such a site.
void Take(const ChainTile& tile, int row, int move) {
  tile.energy[row] = tile.proposal_energy[row];
  const Site site = PickSite(tile, row, move);
  const auto bytes = static_cast<size_t>(WidthOf(tile)) * sizeof(float);
  __builtin_memcpy(tile.position + site.begin, tile.proposal + site.begin,
                   bytes);
}

PhiloxBlock AcceptDraw(const ChainTile& tile, int row, uint32_t number) {
  return Philox(tile.seed[row],
                DrawCounter(number, tile.chain[row], tile.step[row],
                            static_cast<uint8_t>(DrawPurpose::kAccept)));
}

// log(exp(a) + exp(b)); a is finite, b too or -infinity.
double LogAddExp(double a, double b) {
  return a > b ? a + SoftplusOfDouble(b - a) : b + SoftplusOfDouble(a - b);
}

void DrawCandidate(const ChainTile& tile, int move, int candidate) {
  // Of the move's q - 1 draws; q is below 2^16 or leaps is, since each costs
  // an evaluation.
  const int64_t draws = WidthOf(tile) == 1 ? 1 : tile.classes - 1;
  const auto number = static_cast<uint32_t>(move * draws + candidate - 1);
  for (int row = 0; row < tile.rows; ++row) {
    if (PickSite(tile, row, move).begin < 0) continue;
    const double beta = tile.coefficients[row].beta;
    const double before =
        candidate == 1 ? -beta * tile.energy[row] : tile.log_ratio[row];
    const double weight = -beta * tile.proposal_energy[row];
    // A candidate without an energy has no weight.
    const bool possible = IsFiniteDouble(weight);
    const double all = possible ? LogAddExp(before, weight) : before;
    tile.log_ratio[row] = all;
    const double log_u = LogOfAcceptDraw(AcceptDraw(tile, row, number));
    if (possible && log_u < weight - all) Take(tile, row, move);
  }
}

}  // namespace

extern const SiteTable kSiteTable;
const SiteTable kSiteTable = {ProposeSite, AdvanceSite, DrawCandidate};

}  // namespace basin::BASIN_ISA
