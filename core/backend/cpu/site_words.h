#ifndef BASIN_CORE_BACKEND_CPU_SITE_WORDS_H_
#define BASIN_CORE_BACKEND_CPU_SITE_WORDS_H_

// Random words of many variables or sites of one row, for the files that are
// compiled once per instruction set alone: see core/base/cpu_isa.h.
//
// Of n variables, number i has word i / quads of Philox block i % quads, with
// quads = (n + 3) / 4: so words and variables both lie one beside the other.

#include <cstdint>

#include "core/backend/chain_tile.h"
#include "core/backend/tile_ops.h"
#include "core/base/host_device.h"
#include "core/base/philox.h"

namespace basin::BASIN_ISA {

// Philox blocks, and variables, that are computed together.
inline constexpr int kPiece = 256;

struct Words {
  alignas(64) uint32_t word[4][kPiece];
};

// The words of Philox(key, counter + l), l = 0 .. count - 1 in the first word.
// Round by round for all, in products of 32 bits: compilers make vectors of
// these, and of Philox() itself only half as good ones.
BASIN_HOST_DEVICE void DrawPhilox(uint64_t key, const PhiloxBlock& counter,
                                  int count, Words& words) {
  uint32_t* __restrict w0 = words.word[0];
  uint32_t* __restrict w1 = words.word[1];
  uint32_t* __restrict w2 = words.word[2];
  uint32_t* __restrict w3 = words.word[3];
  for (int l = 0; l < count; ++l) {
    w0[l] = counter.word[0] + static_cast<uint32_t>(l);
    w1[l] = counter.word[1];
    w2[l] = counter.word[2];
    w3[l] = counter.word[3];
  }
  auto key0 = static_cast<uint32_t>(key);
  auto key1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    for (int l = 0; l < count; ++l) {
      const uint32_t a = w0[l];
      const uint32_t b = w2[l];
      const auto high0 =
          static_cast<uint32_t>((uint64_t{0xD2511F53U} * a) >> 32);
      const auto high1 =
          static_cast<uint32_t>((uint64_t{0xCD9E8D57U} * b) >> 32);
      w0[l] = high1 ^ w1[l] ^ key0;
      w1[l] = b * 0xCD9E8D57U;
      w2[l] = high0 ^ w3[l] ^ key1;
      w3[l] = a * 0xD2511F53U;
    }
    key0 += 0x9E3779B9U;
    key1 += 0xBB67AE85U;
  }
}

// Calls visit(first variable, count, words [4][kPiece], k) for all pieces of a
// row's n variables: those from `first` on have the words of words.word[k].
template <typename Visit>
BASIN_HOST_DEVICE void VisitWords(const ChainTile& tile, int row, int64_t n,
                                  uint32_t first_quad, const Visit& visit) {
  Words words;
  const int64_t quads = (n + 3) / 4;
  for (int64_t begin = 0; begin < quads; begin += kPiece) {
    const int64_t left = quads - begin;
    const auto blocks = static_cast<int>(left < kPiece ? left : kPiece);
    const PhiloxBlock counter =
        DrawCounter(first_quad + static_cast<uint32_t>(begin), tile.chain[row],
                    tile.step[row], static_cast<uint8_t>(DrawPurpose::kNoise));
    DrawPhilox(tile.seed[row], counter, blocks, words);
    for (int k = 0; k < 4; ++k) {
      const int64_t first = k * quads + begin;
      const int64_t rest = n - first;
      const auto count = static_cast<int>(rest < blocks ? rest : blocks);
      if (count > 0) visit(first, count, words, k);
    }
  }
}

}  // namespace basin::BASIN_ISA

#endif  // BASIN_CORE_BACKEND_CPU_SITE_WORDS_H_
