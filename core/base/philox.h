#ifndef BASIN_CORE_BASE_PHILOX_H_
#define BASIN_CORE_BASE_PHILOX_H_

// Philox4x32-10, a counter-based generator: Salmon, Moraes, Dror and Shaw,
// "Parallel random numbers: as easy as 1, 2, 3", SC 2011. No state, so a draw
// depends on key and counter alone. The same header compiles for CPU and CUDA
// and includes nothing that could be shared between instruction sets.

#include <cstdint>

#include "core/base/host_device.h"

namespace basin {

struct PhiloxBlock {
  uint32_t word[4];
};

// Ten rounds of Philox on `counter` under the 64-bit `key`.
BASIN_HOST_DEVICE PhiloxBlock Philox(uint64_t key, PhiloxBlock counter) {
  auto key0 = static_cast<uint32_t>(key);
  auto key1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = uint64_t{0xD2511F53U} * counter.word[0];
    const uint64_t product1 = uint64_t{0xCD9E8D57U} * counter.word[2];
    counter = {{static_cast<uint32_t>(product1 >> 32) ^ counter.word[1] ^ key0,
                static_cast<uint32_t>(product1),
                static_cast<uint32_t>(product0 >> 32) ^ counter.word[3] ^ key1,
                static_cast<uint32_t>(product0)}};
    key0 += 0x9E3779B9U;
    key1 += 0xBB67AE85U;
  }
  return counter;
}

// The counter of one block of draws: which of a chain's draws for one purpose
// (a DrawPurpose) at one step. Draws of different arguments never coincide:
// `quad` numbers blocks of four 32-bit words, `chain` is below 2^32 and `step`
// below 2^56.
BASIN_HOST_DEVICE PhiloxBlock DrawCounter(uint32_t quad, uint64_t chain,
                                          uint64_t step, uint8_t purpose) {
  return {{quad, static_cast<uint32_t>(chain), static_cast<uint32_t>(step),
           static_cast<uint32_t>(step >> 32) << 8 | purpose}};
}

}  // namespace basin

#endif  // BASIN_CORE_BASE_PHILOX_H_
