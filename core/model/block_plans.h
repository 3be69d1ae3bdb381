#ifndef BASIN_CORE_MODEL_BLOCK_PLANS_H_
#define BASIN_CORE_MODEL_BLOCK_PLANS_H_

// A model's conditional laws on its device: EnergyFunction::LawOf().

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include <absl/status/statusor.h>

#include "core/backend/backend.h"
#include "core/model/energy_source.h"

namespace basin::internal {

// What the blocks of a model are, for all row counts. Immutable; thread-safe.
class BlockTables {
 public:
  // Of `conditionals`, which may be none. `backend` must outlive the result.
  static absl::StatusOr<std::shared_ptr<const BlockTables>> Create(
      const Backend& backend, const std::vector<Conditional>& conditionals);

  struct Block {
    BlockLaw law;  // without the arrays that are evaluated
    bool hidden = false;
    Conditional::Given given = Conditional::Given::kState;
    bool has_field = false;  // otherwise a plan evaluates it
    NeighbourField field;
  };
  const std::vector<Block>& blocks() const { return blocks_; }
  // True if no plans are needed.
  bool all_fields() const;

  // Floats of one row.
  int64_t hidden() const { return hidden_; }          // of hidden units
  int64_t parameters() const { return parameters_; }  // of the largest plan
  int64_t deviations() const { return deviations_; }  // the same, of kNormal

  size_t bytes() const { return bytes_; }  // on the device

 private:
  explicit BlockTables(const Backend& backend) : backend_(backend) {}
  absl::Status Add(const Conditional& conditional);
  template <typename T>
  absl::StatusOr<const T*> Upload(const std::vector<T>& values);

  const Backend& backend_;
  std::vector<Block> blocks_;
  std::vector<DeviceMemory> memory_;
  int64_t hidden_ = 0;
  int64_t parameters_ = 0;
  int64_t deviations_ = 0;
  size_t bytes_ = 0;
};

// The blocks for one row count. Immutable; thread-safe.
struct BlockPlans {
  std::shared_ptr<const BlockTables> tables;  // null if there are no blocks
  // Of each block; null where it has a field.
  std::vector<std::unique_ptr<const Plan>> plans;

  size_t size() const { return plans.size(); }
};

// The scratch of LawOf() in a workspace, behind what plans use.
struct BlockScratch {
  float* hidden = nullptr;     // [rows, hidden()]
  float* parameter = nullptr;  // [rows, parameters()]
  float* stddev = nullptr;     // [rows, deviations()]

  static size_t bytes(const BlockTables& tables, int rows);
  static BlockScratch At(const BlockTables& tables, int rows, std::byte* base);
};

// EnergyFunction::LawOf() of x [rows, D].
absl::StatusOr<BlockLaw> EvaluateBlock(const BlockPlans& plans, int block,
                                       int rows, const float* x,
                                       const BlockScratch& scratch,
                                       Workspace& workspace);

}  // namespace basin::internal

#endif  // BASIN_CORE_MODEL_BLOCK_PLANS_H_
