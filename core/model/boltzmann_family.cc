// Binary units in layers, E(x) = -1/2 x.J x - b.x, where J joins units of
// neighbouring layers (W_l) and of one layer (J_l): with no J_l a deep
// Boltzmann machine (Salakhutdinov and Hinton 2009), with one layer a fully
// visible Boltzmann machine.

#include <algorithm>
#include <optional>

#include <absl/strings/str_cat.h>

#include "core/base/status_macros.h"
#include "core/model/families.h"
#include "core/model/weight_file.h"

namespace basin::internal {
namespace {

struct Layer {
  int64_t offset = 0;             // of its first unit in the state
  Tensor b;                       // [n]
  std::optional<Tensor> lateral;  // J [n, n]
  std::optional<Tensor> up;       // W [n, n of the next layer]
};

// The layers in the order in which Gibbs sampling draws them: every other one,
// then those between, so that all of a half are drawn given the other half.
// None if a layer has couplings inside: its units are not independent.
std::vector<size_t> BlockOrder(const std::vector<Layer>& layers) {
  std::vector<size_t> order;
  for (const Layer& layer : layers) {
    if (layer.lateral.has_value()) return order;
  }
  for (const size_t parity : {0, 1}) {
    for (size_t l = parity; l < layers.size(); l += 2) order.push_back(l);
  }
  return order;
}

class BoltzmannFamily final : public EnergySource {
 public:
  BoltzmannFamily(std::vector<Layer> layers, Shape state_shape)
      : layers_(std::move(layers)), state_shape_(std::move(state_shape)) {}

  // E = -sum_l x_l.(b_l + x_(l-1) W_(l-1) + 1/2 x_l J_l): every pair once.
  absl::StatusOr<SourceOutputs> Append(const SourceInputs& inputs, int rows,
                                       GraphBuilder& builder) const override {
    const std::vector<ValueId> units = Split(inputs.state, rows, builder);
    std::vector<ValueId> terms;
    for (size_t l = 0; l < layers_.size(); ++l) {
      ValueId field = builder.Constant(layers_[l].b);
      if (l > 0) field = builder.Add(field, FromBelow(units, l, builder));
      if (layers_[l].lateral.has_value()) {
        field = builder.Add(field, builder.Mul(builder.Constant(0.5F),
                                               Lateral(units, l, builder)));
      }
      terms.push_back(
          builder.Unary(ScalarOp::kNeg, builder.Mul(units[l], field)));
    }
    return SourceOutputs{
        .energy = builder.ReduceSum(builder.Concat(terms, 1), {1},
                                    GraphBuilder::ReducedAxes::kDrop)};
  }

  // One block a layer, given the state, in the order of BlockOrder().
  absl::StatusOr<std::vector<Conditional>> Conditionals(
      int rows) const override {
    std::vector<Conditional> blocks;
    for (const size_t l : BlockOrder(layers_)) {
      GraphBuilder builder;
      BASIN_ASSIGN_OR_RETURN(const Shape shape, WithRows(rows, state_shape_));
      const ValueId state =
          builder.Input("x", shape, InputAttrs::Values::kBinary);
      const std::vector<ValueId> units = Split(state, rows, builder);
      ValueId field = builder.BroadcastTo(builder.Constant(layers_[l].b),
                                          builder.shape(units[l]));
      if (l > 0) field = builder.Add(field, FromBelow(units, l, builder));
      if (layers_[l].up.has_value()) {
        field =
            builder.Add(field, builder.Matmul(units[l + 1],
                                              builder.Constant(*layers_[l].up),
                                              {.transpose_b = true}));
      }
      Conditional block;
      block.variables = layers_[l].b.num_elements();
      block.sites = Range(layers_[l].offset, block.variables);
      BASIN_ASSIGN_OR_RETURN(block.graph, std::move(builder).Build({field}));
      blocks.push_back(std::move(block));
    }
    return blocks;
  }

 private:
  // The units of each layer, [rows, n].
  std::vector<ValueId> Split(ValueId state, int rows,
                             GraphBuilder& builder) const {
    const ValueId flat =
        builder.Reshape(state, Shape({rows, state_shape_.num_elements()}));
    std::vector<ValueId> units;
    for (const Layer& layer : layers_) {
      units.push_back(
          TakeColumns(builder, flat, layer.offset, layer.b.shape()));
    }
    return units;
  }

  ValueId FromBelow(const std::vector<ValueId>& units, size_t l,
                    GraphBuilder& builder) const {
    return builder.Matmul(units[l - 1], builder.Constant(*layers_[l - 1].up));
  }

  ValueId Lateral(const std::vector<ValueId>& units, size_t l,
                  GraphBuilder& builder) const {
    return builder.Matmul(units[l], builder.Constant(*layers_[l].lateral));
  }

  const std::vector<Layer> layers_;
  const Shape state_shape_;
};

bool IsKnown(const std::string& name) {
  return IsNumbered(name, 'W') || IsNumbered(name, 'b') ||
         IsNumbered(name, 'J');
}

absl::Status CheckCouplings(const std::string& name, const Tensor& couplings) {
  const auto n = static_cast<size_t>(couplings.shape().dim(0));
  const auto j = [&couplings](size_t i) { return RealAt(couplings, i); };
  for (size_t row = 0; row < n; ++row) {
    if (j(row * n + row) != 0) {
      return WeightError(
          name, absl::StrCat("expected a zero diagonal, got ", j(row * n + row),
                             " for unit ", row));
    }
    for (size_t column = 0; column < row; ++column) {
      if (j(row * n + column) == j(column * n + row)) continue;
      return WeightError(
          name,
          absl::StrCat("expected a symmetric matrix, got ", j(row * n + column),
                       " at [", row, ", ", column, "] and ",
                       j(column * n + row), " at [", column, ", ", row, "]"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckLayerCount(const WeightFile& file, size_t layers) {
  for (const auto& [name, entry] : file.file().entries()) {
    size_t number = 0;
    for (const char digit : name.substr(1)) {
      number = 10 * number + static_cast<size_t>(digit - '0');
    }
    const size_t limit = name[0] == 'W' ? layers - 1 : layers;
    if (number < limit) continue;
    return WeightError(name,
                       absl::StrCat("expected a number below ", limit,
                                    ", since boltzmann.layer has ", layers));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Layer>> LoadLayers(const std::vector<int64_t>& sizes,
                                              WeightFile& file) {
  std::vector<Layer> layers(sizes.size());
  int64_t offset = 0;
  for (size_t l = 0; l < sizes.size(); ++l) {
    layers[l].offset = offset;
    offset += sizes[l];
    BASIN_ASSIGN_OR_RETURN(
        layers[l].b, file.LoadOr(absl::StrCat("b", l), Shape({sizes[l]}), 0));
    const std::string lateral = absl::StrCat("J", l);
    if (file.file().Has(lateral)) {
      BASIN_ASSIGN_OR_RETURN(layers[l].lateral,
                             file.Load(lateral, Shape({sizes[l], sizes[l]})));
      BASIN_RETURN_IF_ERROR(CheckCouplings(lateral, *layers[l].lateral));
    }
    if (l + 1 == sizes.size()) break;
    BASIN_ASSIGN_OR_RETURN(
        layers[l].up,
        file.Load(absl::StrCat("W", l), Shape({sizes[l], sizes[l + 1]})));
  }
  return layers;
}

}  // namespace

SourceOr OpenBoltzmann(const ModelFiles& files, ModelSettings* settings) {
  ModelInfo& info = settings->info;
  const std::vector<int64_t>& sizes = settings->boltzmann.layers;
  BASIN_ASSIGN_OR_RETURN(WeightFile file,
                         WeightFile::Open(files, IsKnown, &info));
  BASIN_RETURN_IF_ERROR(CheckLayerCount(file, sizes.size()));
  BASIN_ASSIGN_OR_RETURN(std::vector<Layer> layers, LoadLayers(sizes, file));
  const int64_t units = layers.back().offset + sizes.back();
  BASIN_RETURN_IF_ERROR(CompleteState(Shape({units}), settings));
  if (layers.size() > 1) {
    info.input_name.clear();
    info.states.clear();
    for (size_t l = 0; l < layers.size(); ++l) {
      info.states.push_back({.name = absl::StrCat("layer", l),
                             .shape = layers[l].b.shape(),
                             .offset = layers[l].offset});
    }
  }
  for (const size_t l : BlockOrder(layers)) {
    info.blocks.push_back(absl::StrCat("layer", l));
  }
  BASIN_RETURN_IF_ERROR(CompleteDomain(DomainKind::kBinary, 0, settings));
  return std::make_shared<BoltzmannFamily>(std::move(layers), info.state_shape);
}

}  // namespace basin::internal
