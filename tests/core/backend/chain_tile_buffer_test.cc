#include "core/backend/chain_tile_buffer.h"

#include <cstdlib>
#include <cstring>

#include <gtest/gtest.h>

#include "tests/testing/status_matchers.h"

namespace basin {
namespace {

using ::testing::_;
using testing::StatusIs;

// Host memory, as much as `limit`, counting allocations.
class HostBackend final : public Backend {
 public:
  explicit HostBackend(size_t limit) : limit_(limit) {}

  const DeviceInfo& info() const override { return info_; }
  absl::StatusOr<DeviceMemory> Allocate(size_t bytes) const override {
    if (bytes > limit_) return absl::ResourceExhaustedError("full");
    ++allocations;
    auto* memory =
        static_cast<std::byte*>(std::aligned_alloc(64, (bytes + 63) / 64 * 64));
    std::memset(memory, 0, bytes);
    return DeviceMemory(memory, [](std::byte* p) { std::free(p); });
  }
  void CopyToDevice(void* device, const void* host,
                    size_t bytes) const override {
    if (bytes > 0) std::memcpy(device, host, bytes);
  }
  void CopyToHost(void* host, const void* device, size_t bytes) const override {
    if (bytes > 0) std::memcpy(host, device, bytes);
  }
  std::shared_ptr<WeightStore> CreateWeightStore() const override {
    return nullptr;
  }
  absl::StatusOr<std::unique_ptr<Plan>> Compile(
      const Graph&, const std::shared_ptr<WeightStore>&,
      Precision) const override {
    return absl::UnimplementedError("no plans");
  }
  const TileOps& tile_ops() const override { std::abort(); }
  void PrepareWorkerThread() const override {}

  mutable int allocations = 0;

 private:
  const DeviceInfo info_;
  const size_t limit_;
};

TEST(ChainTileBufferTest, ArraysHoldTheCapacityAndDoNotOverlap) {
  const HostBackend backend(1 << 20);
  ChainTileBuffer buffer(backend);
  ASSERT_OK_AND_ASSIGN(const ChainTile tile, buffer.Shape(5, 8, 33, {}));
  EXPECT_EQ(tile.rows, 5);
  EXPECT_EQ(tile.dimension, 33);
  const auto fill = [](auto* array, int count, int value) {
    EXPECT_EQ(reinterpret_cast<uintptr_t>(array) % 64, 0U);
    std::memset(static_cast<void*>(array), value, count * sizeof(*array));
  };
  const auto check = [](const auto* array, int count, int value) {
    const auto* bytes = reinterpret_cast<const unsigned char*>(array);
    for (size_t i = 0; i < count * sizeof(*array); ++i) {
      ASSERT_EQ(bytes[i], value);
    }
  };
  const auto for_all = [&](const auto& visit) {
    int value = 1;
    for (float* array : {tile.position, tile.grad_energy, tile.proposal,
                         tile.proposal_grad_energy}) {
      visit(array, 8 * 33, value++);
    }
    for (double* array :
         {tile.energy, tile.proposal_energy, tile.log_ratio,
          tile.surrogate_energy, tile.surrogate_proposal_energy}) {
      visit(array, 8, value++);
    }
    visit(tile.coefficients, 8, value++);
    for (float* array : {tile.lower, tile.upper}) visit(array, 8, value++);
    for (uint64_t* array : {tile.seed, tile.chain, tile.step}) {
      visit(array, 8, value++);
    }
    visit(tile.accepted, 8, value++);
  };
  for_all(fill);
  for_all(check);
}

TEST(ChainTileBufferTest, SmallerTilesUseTheMemoryAgain) {
  const HostBackend backend(1 << 20);
  ChainTileBuffer buffer(backend);
  ASSERT_OK(buffer.Shape(16, 16, 100, {}));
  const size_t bytes = buffer.bytes();
  EXPECT_GT(bytes, 16U * 100 * 4 * sizeof(float));
  ASSERT_OK(buffer.Shape(3, 4, 7, {}));
  ASSERT_OK(buffer.Shape(16, 16, 100, {}));
  EXPECT_EQ(buffer.bytes(), bytes);
  EXPECT_EQ(backend.allocations, 1);
}

TEST(ChainTileBufferTest, UnusedRowsAreZero) {
  const HostBackend backend(1 << 20);
  ChainTileBuffer buffer(backend);
  ASSERT_OK_AND_ASSIGN(ChainTile tile, buffer.Shape(16, 16, 10, {}));
  std::memset(tile.position, 0xff, 160 * sizeof(float));  // NaN
  std::memset(tile.proposal, 0xff, 160 * sizeof(float));
  ASSERT_OK_AND_ASSIGN(tile, buffer.Shape(2, 16, 10, {}));
  for (int at = 2 * 10; at < 16 * 10; ++at) {
    EXPECT_EQ(tile.position[at], 0);
    EXPECT_EQ(tile.proposal[at], 0);
  }
}

TEST(ChainTileBufferTest, TooLargeIsAnError) {
  const HostBackend backend(1 << 20);
  ChainTileBuffer buffer(backend);
  EXPECT_THAT(buffer.Shape(64, 64, 1 << 20, {}),
              StatusIs(absl::StatusCode::kResourceExhausted, _));
  EXPECT_THAT(buffer.Shape(1 << 20, 1 << 20, int64_t{1} << 60, {}),
              StatusIs(absl::StatusCode::kResourceExhausted, _));
  EXPECT_EQ(buffer.bytes(), 0U);
  EXPECT_OK(buffer.Shape(4, 4, 4, {}));
}

}  // namespace
}  // namespace basin
