#include "core/base/philox.h"

#include <array>
#include <set>

#include <gtest/gtest.h>

namespace basin {
namespace {

struct KnownAnswer {
  uint64_t key;
  PhiloxBlock counter;
  PhiloxBlock block;
};

// philox4x32-10 of Random123's kat_vectors.
TEST(PhiloxTest, MatchesRandom123) {
  const KnownAnswer answers[] = {
      {0, {{0, 0, 0, 0}}, {{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}}},
      {0xffffffffffffffff,
       {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}},
       {{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}}},
      {0x299f31d0a4093822,
       {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}},
       {{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}}},
  };
  for (const KnownAnswer& answer : answers) {
    const PhiloxBlock block = Philox(answer.key, answer.counter);
    for (int i = 0; i < 4; ++i) EXPECT_EQ(block.word[i], answer.block.word[i]);
  }
}

TEST(PhiloxTest, CountersOfDifferentDrawsDiffer) {
  std::set<std::array<uint32_t, 4>> counters;
  int count = 0;
  for (const uint32_t quad : {0U, 1U, 0xffffffffU}) {
    for (const uint64_t chain : {0ULL, 1ULL, 0xffffffffULL}) {
      for (const uint64_t step :
           {0ULL, 1ULL, 0xffffffffULL, 1ULL << 32, (1ULL << 56) - 1}) {
        for (const uint8_t purpose : {0, 1, 2, 3, 255}) {
          const PhiloxBlock c = DrawCounter(quad, chain, step, purpose);
          counters.insert({c.word[0], c.word[1], c.word[2], c.word[3]});
          ++count;
        }
      }
    }
  }
  EXPECT_EQ(static_cast<int>(counters.size()), count);
}

}  // namespace
}  // namespace basin
