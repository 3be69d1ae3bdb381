#include "tests/statistical/false_alarms.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <random>

#include <gtest/gtest.h>

namespace basin::testing {
namespace {

std::map<Gate, int64_t>& Counts() {
  static auto* const counts = new std::map<Gate, int64_t>();
  return *counts;
}

// 0 = none, the fixed seed.
size_t FreshSeeds() {
  const char* const wanted = std::getenv("BASIN_STATISTICAL_SEEDS");
  const int count = wanted == nullptr ? 0 : std::atoi(wanted);
  return count <= 0 ? 0 : static_cast<size_t>(count);
}

// What false_alarms.h says of the numbers of gates holds.
class CountsAreAsStated : public ::testing::Environment {
 public:
  void SetUp() override { Counts().clear(); }
  void TearDown() override {
    const auto seeds = static_cast<int64_t>(std::max<size_t>(FreshSeeds(), 1));
    for (const GateKind& kind : kGates) {
      const int64_t count = Counts()[kind.gate];
      if (count == 0) continue;  // another program's
      std::printf("%lld gates for each seed: %s\n",
                  static_cast<long long>(count / seeds), kind.name);
      EXPECT_LE(count, kind.at_most * seeds) << kind.name;
    }
  }
};

const ::testing::Environment* const kCountsAreAsStated =
    ::testing::AddGlobalTestEnvironment(new CountsAreAsStated());

}  // namespace

std::vector<uint64_t> Seeds(uint64_t fixed) {
  std::vector<uint64_t> seeds(FreshSeeds());
  if (seeds.empty()) return {fixed};
  std::random_device device;
  for (uint64_t& seed : seeds) {
    seed = static_cast<uint64_t>(device()) << 32 | device();
  }
  return seeds;
}

void CountGates(Gate gate, int64_t count) { Counts()[gate] += count; }

}  // namespace basin::testing
