#include "core/model/block_plans.h"

#include <algorithm>

#include "core/base/check.h"
#include "core/base/status_macros.h"

namespace basin::internal {
namespace {

// Of plans' inputs and outputs.
constexpr size_t kAlignment = 64;  // bytes

size_t ArrayBytes(int64_t floats, int rows) {
  const size_t bytes = static_cast<size_t>(floats * rows) * sizeof(float);
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

bool IsRange(const std::vector<int32_t>& sites) {
  return sites.empty() ||
         sites.back() - sites.front() + 1 == static_cast<int64_t>(sites.size());
}

// NeighbourField::runs of a state of `sites` sites.
std::vector<uint8_t> RunsOf(const std::vector<int32_t>& neighbours,
                            int64_t variables, int64_t sites) {
  constexpr int kRun = NeighbourField::kRun;
  std::vector<uint8_t> runs;
  const auto degree = static_cast<int64_t>(neighbours.size()) / variables;
  for (int64_t k = 0; k < degree; ++k) {
    for (int64_t at = 0; at + kRun <= variables; at += kRun) {
      const int32_t* run = &neighbours[k * variables + at];
      bool is_run = run[0] + 2 * kRun <= sites;
      for (int l = 1; l < kRun; ++l) is_run &= run[l] == run[0] + 2 * l;
      runs.push_back(is_run ? 1 : 0);
    }
  }
  return runs;
}

}  // namespace

template <typename T>
absl::StatusOr<const T*> BlockTables::Upload(const std::vector<T>& values) {
  const size_t bytes = values.size() * sizeof(T);
  BASIN_ASSIGN_OR_RETURN(DeviceMemory memory, backend_.Allocate(bytes));
  backend_.CopyToDevice(memory.get(), values.data(), bytes);
  bytes_ += bytes;
  memory_.push_back(std::move(memory));
  return reinterpret_cast<const T*>(memory_.back().get());
}

absl::Status BlockTables::Add(const Conditional& conditional) {
  Block block;
  block.law.kind = conditional.kind;
  block.law.variables = conditional.variables;
  block.law.classes = conditional.classes;
  block.hidden = conditional.sites.empty();
  block.given = conditional.given;
  if (block.hidden) {
    BASIN_CHECK(hidden_ == 0);
    hidden_ = conditional.variables;
  } else if (IsRange(conditional.sites)) {
    block.law.first_site = conditional.sites.front();
  } else {
    BASIN_ASSIGN_OR_RETURN(block.law.sites, Upload(conditional.sites));
  }
  if (conditional.table.has_value()) {
    const NeighbourTable& table = *conditional.table;
    block.has_field = true;
    block.field.sites = conditional.variables;
    block.field.degree =
        static_cast<int64_t>(table.weights.size()) / conditional.variables;
    block.field.classes = conditional.classes;
    BASIN_ASSIGN_OR_RETURN(block.field.neighbours, Upload(table.neighbours));
    BASIN_ASSIGN_OR_RETURN(block.field.weights, Upload(table.weights));
    BASIN_ASSIGN_OR_RETURN(block.field.bias, Upload(table.bias));
    BASIN_ASSIGN_OR_RETURN(
        block.field.runs,
        Upload(RunsOf(table.neighbours, conditional.variables, table.sites)));
  }
  const int64_t width = std::max<int64_t>(conditional.classes, 1);
  parameters_ = std::max(parameters_, conditional.variables * width);
  if (conditional.kind == BlockLaw::Kind::kNormal) {
    deviations_ = std::max(deviations_, conditional.variables);
  }
  blocks_.push_back(block);
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<const BlockTables>> BlockTables::Create(
    const Backend& backend, const std::vector<Conditional>& conditionals) {
  std::shared_ptr<BlockTables> tables(new BlockTables(backend));
  for (const Conditional& conditional : conditionals) {
    BASIN_RETURN_IF_ERROR(tables->Add(conditional));
  }
  return tables;
}

bool BlockTables::all_fields() const {
  return std::all_of(blocks_.begin(), blocks_.end(),
                     [](const Block& block) { return block.has_field; });
}

size_t BlockScratch::bytes(const BlockTables& tables, int rows) {
  return ArrayBytes(tables.hidden(), rows) +
         ArrayBytes(tables.parameters(), rows) +
         ArrayBytes(tables.deviations(), rows) + kAlignment;
}

BlockScratch BlockScratch::At(const BlockTables& tables, int rows,
                              std::byte* base) {
  const auto at = reinterpret_cast<uintptr_t>(base);
  base += (kAlignment - at % kAlignment) % kAlignment;
  const auto take = [&base, rows](int64_t floats) {
    auto* array = reinterpret_cast<float*>(base);
    base += ArrayBytes(floats, rows);
    return array;
  };
  BlockScratch scratch;
  scratch.hidden = take(tables.hidden());
  scratch.parameter = take(tables.parameters());
  scratch.stddev = take(tables.deviations());
  return scratch;
}

absl::StatusOr<BlockLaw> EvaluateBlock(const BlockPlans& plans, int block,
                                       const BlockInput& input,
                                       const BlockScratch& scratch,
                                       Workspace& workspace) {
  const BlockTables::Block& of = plans.tables->blocks()[block];
  BlockLaw law = of.law;
  law.parameter = scratch.parameter;
  if (of.hidden) law.hidden = scratch.hidden;
  if (of.has_field) {
    plans.tables->ops().EvaluateField(
        of.field,
        {.rows = input.rows, .dimension = input.dimension, .x = input.x},
        scratch.parameter);
    return law;
  }
  const bool from_hidden = of.given == Conditional::Given::kHidden;
  const Plan& plan = *plans.plans[block];
  if (law.kind != BlockLaw::Kind::kNormal) {
    BASIN_RETURN_IF_ERROR(plan.Run(workspace,
                                   {from_hidden ? scratch.hidden : input.x},
                                   {scratch.parameter}));
    return law;
  }
  law.stddev = scratch.stddev;
  BASIN_RETURN_IF_ERROR(plan.Run(workspace,
                                 {from_hidden ? scratch.hidden : input.x},
                                 {scratch.parameter, scratch.stddev}));
  return law;
}

}  // namespace basin::internal
