#include "core/model/block_plans.h"

#include <algorithm>
#include <optional>

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

using Field = NeighbourField;

// What is said of `values` [kRun], if their sites have a stride.
Field::Kind KindOf(const float* values) {
  const bool uniform = std::all_of(values, values + Field::kRun,
                                   [&](float v) { return v == values[0]; });
  return uniform ? Field::Kind::kUniform : Field::Kind::kStride;
}

bool Fits(int64_t first, int64_t sites) {
  return first >= 0 && first + 2 * Field::kRun <= sites;
}

// Of kRun neighbours in a state of `sites`, and their weights.
Field::Run RunOf(const int32_t* neighbours, const float* weights,
                 int64_t sites) {
  // Where it would start by its middle: an end may be the odd one.
  Field::Run run = {.first = neighbours[Field::kRun / 2] - Field::kRun,
                    .weight = weights[0],
                    .kind = KindOf(weights)};
  int odd = 0;
  for (int l = 0; l < Field::kRun; ++l) {
    if (neighbours[l] == run.first + 2 * l) continue;
    ++odd;
    run.odd_lane = static_cast<int16_t>(l);
  }
  return odd <= 1 && Fits(run.first, sites) ? run : Field::Run();
}

// Of kRun sites in a state of `sites`, and their biases.
Field::SiteRun SiteRunOf(const int32_t* own, const float* bias, int64_t sites) {
  if (!Fits(own[0], sites)) return {};
  for (int l = 0; l < Field::kRun; ++l) {
    if (own[l] != own[0] + 2 * l) return {};
  }
  return {.first = own[0], .bias = bias[0], .kind = KindOf(bias)};
}

// NeighbourField::runs of the block.
std::vector<Field::Run> RunsOf(const Conditional& block) {
  const NeighbourTable& table = *block.table;
  std::vector<Field::Run> runs;
  const auto end = static_cast<int64_t>(table.neighbours.size());
  for (int64_t i = 0; i + Field::kRun <= block.variables; i += Field::kRun) {
    for (int64_t at = i; at < end; at += block.variables) {
      runs.push_back(
          RunOf(&table.neighbours[at], &table.weights[at], table.sites));
    }
  }
  return runs;
}

// NeighbourField::site_runs of the block, whose `neighbours` are its runs.
std::vector<Field::SiteRun> SiteRunsOf(
    const Conditional& block, const std::vector<Field::Run>& neighbours) {
  std::vector<Field::SiteRun> runs;
  std::optional<Field::SiteRun> first_alike;
  const size_t degree = block.table->weights.size() / block.variables;
  for (int64_t i = 0; i + Field::kRun <= block.variables; i += Field::kRun) {
    runs.push_back(
        SiteRunOf(&block.sites[i], &block.table->bias[i], block.table->sites));
    const auto first = neighbours.begin() + i / Field::kRun * degree;
    const bool alike =
        runs.back().kind == Field::Kind::kUniform && degree > 0 &&
        degree <= Field::kMostAlike &&
        std::all_of(first, first + degree, [&](const Field::Run& run) {
          return run.kind == Field::Kind::kUniform &&
                 run.weight == first->weight;
        });
    if (!alike) continue;
    Field::SiteRun run = runs.back();
    run.kind = Field::Kind::kAlike;
    run.weight = first->weight;
    if (!first_alike.has_value()) first_alike = run;
    const bool same =
        run.bias == first_alike->bias && run.weight == first_alike->weight;
    if (same) runs.back() = run;
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
    if (conditional.classes == 0) {
      const std::vector<Field::Run> runs = RunsOf(conditional);
      BASIN_ASSIGN_OR_RETURN(block.field.runs, Upload(runs));
      BASIN_ASSIGN_OR_RETURN(block.field.site_runs,
                             Upload(SiteRunsOf(conditional, runs)));
    }
  }
  const int64_t width = std::max<int64_t>(conditional.classes, 1);
  const int64_t evaluated =
      block.has_field ? BlockLaw::kPiece : conditional.variables;
  parameters_ = std::max(parameters_, evaluated * width);
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
                                       int rows, const float* x,
                                       const BlockScratch& scratch,
                                       Workspace& workspace) {
  const BlockTables::Block& of = plans.tables->blocks()[block];
  BlockLaw law = of.law;
  if (of.has_field) {
    law.field = &of.field;
    law.given = x;
    law.scratch = scratch.parameter;
    return law;
  }
  law.parameter = scratch.parameter;
  if (of.hidden) law.hidden = scratch.hidden;
  const bool from_hidden = of.given == Conditional::Given::kHidden;
  const Plan& plan = *plans.plans[block];
  const float* given = from_hidden ? scratch.hidden : x;
  if (law.kind != BlockLaw::Kind::kNormal) {
    BASIN_RETURN_IF_ERROR(
        plan.RunRows(workspace, rows, {given}, {scratch.parameter}));
    return law;
  }
  law.stddev = scratch.stddev;
  BASIN_RETURN_IF_ERROR(plan.RunRows(workspace, rows, {given},
                                     {scratch.parameter, scratch.stddev}));
  return law;
}

}  // namespace basin::internal
