#ifndef BASIN_CORE_BACKEND_CPU_SITE_WORDS_H_
#define BASIN_CORE_BACKEND_CPU_SITE_WORDS_H_

// Random words of many variables or sites of one row, for the files that are
// compiled once per instruction set alone: see core/base/cpu_isa.h.
//
// Of n variables, number i has word i / quads of Philox block i % quads, with
// quads = (n + 3) / 4: so words and variables both lie one beside the other.

#include <cstdint>

#include "core/backend/chain_tile.h"
#include "core/backend/cpu/philox_batch.h"
#include "core/backend/tile_ops.h"
#include "core/base/host_device.h"
#include "core/base/philox.h"

namespace basin::BASIN_ISA {

// Calls visit(first variable, count, batch, k) for all pieces of a row's n
// variables: those from `first` on have the words of batch.word[k].
template <typename Visit>
BASIN_HOST_DEVICE void VisitWords(const ChainTile& tile, int row, int64_t n,
                                  uint32_t first_quad, const Visit& visit) {
  PhiloxBatch batch;
  const int64_t quads = (n + 3) / 4;
  for (int64_t begin = 0; begin < quads; begin += kPiece) {
    const int64_t left = quads - begin;
    const auto blocks = static_cast<int>(left < kPiece ? left : kPiece);
    const PhiloxBlock counter =
        DrawCounter(first_quad + static_cast<uint32_t>(begin), tile.chain[row],
                    tile.step[row], static_cast<uint8_t>(DrawPurpose::kNoise));
    DrawPhiloxFrom(tile.seed[row], counter, blocks, batch);
    for (int k = 0; k < 4; ++k) {
      const int64_t first = k * quads + begin;
      const int64_t rest = n - first;
      const auto count = static_cast<int>(rest < blocks ? rest : blocks);
      if (count > 0) visit(first, count, batch, k);
    }
  }
}

}  // namespace basin::BASIN_ISA

#endif  // BASIN_CORE_BACKEND_CPU_SITE_WORDS_H_
