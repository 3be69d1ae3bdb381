// Ising and Potts models on a line, a square or a cubic lattice; see Lattice
// in core/model/model_config.proto for the energies. Every edge is counted
// from the site at its lower end.

#include <filesystem>
#include <optional>
#include <system_error>

#include <absl/strings/str_cat.h>

#include "core/base/status_macros.h"
#include "core/model/families.h"
#include "core/model/weight_file.h"

namespace basin::internal {
namespace {

enum class Direction { kNext, kPrevious };

class LatticeFamily final : public EnergySource {
 public:
  struct Parts {
    std::vector<int64_t> size;
    int64_t states = 0;  // q; 0 = Ising
    bool periodic = true;
    std::vector<Tensor> couplings;  // of each axis, broadcasts to the sites
    Tensor field;                   // broadcasts to the sites
  };

  LatticeFamily(Parts parts, Shape state_shape)
      : parts_(std::move(parts)), state_shape_(std::move(state_shape)) {}

  // E = -sum_i s_i (h_i + sum_axes J_i s_next(i)).
  absl::StatusOr<SourceOutputs> Append(const SourceInputs& inputs, int rows,
                                       GraphBuilder& builder) const override {
    BASIN_ASSIGN_OR_RETURN(const ValueId spins,
                           Spins(inputs.state, rows, builder));
    ValueId field = builder.Constant(parts_.field);
    for (size_t axis = 0; axis < parts_.size.size(); ++axis) {
      if (parts_.size[axis] == 1) continue;
      const ValueId next = Shifted(spins, axis, Direction::kNext, builder);
      field = builder.Add(field, builder.Mul(Coupling(axis, builder), next));
    }
    const ValueId terms =
        builder.Unary(ScalarOp::kNeg, builder.Mul(spins, field));
    IntList axes;
    for (int axis = 1; axis < builder.shape(spins).rank(); ++axis) {
      axes.push_back(axis);
    }
    return SourceOutputs{.energy = builder.ReduceSum(
                             terms, axes, GraphBuilder::ReducedAxes::kDrop)};
  }

  // A block for each colour: neighbours have different ones.
  absl::StatusOr<std::vector<Conditional>> Conditionals(
      int rows) const override {
    const std::vector<std::vector<int64_t>> colours = Colours();
    std::vector<Conditional> blocks;
    for (size_t colour = 0; colour < colours.size(); ++colour) {
      GraphBuilder builder;
      BASIN_ASSIGN_OR_RETURN(const Shape shape, WithRows(rows, state_shape_));
      BASIN_ASSIGN_OR_RETURN(
          const ValueId p, SiteLaws(builder.Input("x", shape), rows, builder));
      const std::vector<int64_t>& sites = colours[colour];
      const auto count = static_cast<int64_t>(sites.size());
      const ValueId picked = builder.Gather(
          p, builder.Constant(Tensor::Of<int64_t>(Shape({count}), sites)), 1);
      Conditional block;
      block.name = absl::StrCat("sites", colour);
      block.law = parts_.states == 0 ? Conditional::Law::kBernoulli
                                     : Conditional::Law::kCategorical;
      const int64_t width = std::max<int64_t>(parts_.states, 1);
      for (const int64_t site : sites) {
        for (int64_t i = 0; i < width; ++i) {
          block.coordinates.push_back(site * width + i);
        }
      }
      BASIN_ASSIGN_OR_RETURN(block.graph, std::move(builder).Build({picked}));
      blocks.push_back(std::move(block));
    }
    return blocks;
  }

 private:
  // s = 2 x - 1 [rows, size...], or x [rows, size..., q].
  absl::StatusOr<ValueId> Spins(ValueId state, int rows,
                                GraphBuilder& builder) const {
    Shape::Dims dims(parts_.size.begin(), parts_.size.end());
    if (parts_.states != 0) dims.push_back(parts_.states);
    BASIN_ASSIGN_OR_RETURN(const Shape sites, Shape::Create(dims));
    BASIN_ASSIGN_OR_RETURN(const Shape shape, WithRows(rows, sites));
    const ValueId x = builder.Reshape(state, shape);
    if (parts_.states != 0) return x;
    return builder.Sub(builder.Mul(builder.Constant(2.0F), x),
                       builder.Constant(1.0F));
  }

  ValueId Coupling(size_t axis, GraphBuilder& builder) const {
    return builder.Constant(parts_.couplings[axis]);
  }

  // At each site the value of its neighbour along `axis`; 0 where there is
  // none. REQUIRES: the axis has two sites or more.
  ValueId Shifted(ValueId x, size_t axis, Direction direction,
                  GraphBuilder& builder) const {
    const Shape shape = builder.shape(x);
    const size_t at = axis + 1;  // after the rows
    const int64_t size = parts_.size[axis];
    const auto slice = [&](int64_t from, int64_t to) {
      SliceAttrs attrs;
      attrs.starts.assign(shape.rank(), 0);
      attrs.limits.assign(shape.dims().begin(), shape.dims().end());
      attrs.strides.assign(shape.rank(), 1);
      attrs.starts[at] = from;
      attrs.limits[at] = to;
      return builder.Slice(x, std::move(attrs));
    };
    const bool next = direction == Direction::kNext;
    if (parts_.periodic) {
      const int64_t cut = next ? 1 : size - 1;
      return builder.Concat({slice(cut, size), slice(0, cut)},
                            static_cast<int>(at));
    }
    PadAttrs pad;
    pad.before.assign(shape.rank(), 0);
    pad.after.assign(shape.rank(), 0);
    pad.interior.assign(shape.rank(), 0);
    (next ? pad.after : pad.before)[at] = 1;
    return builder.Pad(next ? slice(1, size) : slice(0, size - 1), pad);
  }

  // Of every site given all others: P(x = 1) [rows, N], or the law of its
  // category [rows, N, q].
  absl::StatusOr<ValueId> SiteLaws(ValueId state, int rows,
                                   GraphBuilder& builder) const {
    BASIN_ASSIGN_OR_RETURN(const ValueId spins, Spins(state, rows, builder));
    const Shape shape = builder.shape(spins);
    ValueId field = builder.BroadcastTo(builder.Constant(parts_.field), shape);
    for (size_t axis = 0; axis < parts_.size.size(); ++axis) {
      if (parts_.size[axis] == 1) continue;
      const ValueId coupling = Coupling(axis, builder);
      field = builder.Add(
          field, builder.Mul(coupling,
                             Shifted(spins, axis, Direction::kNext, builder)));
      field = builder.Add(field, Shifted(builder.Mul(coupling, spins), axis,
                                         Direction::kPrevious, builder));
    }
    const int64_t width = std::max<int64_t>(parts_.states, 1);
    const int64_t sites = state_shape_.num_elements() / width;
    if (parts_.states == 0) {
      // Energies of s = 1 and s = -1 differ by -2 field.
      return builder.Reshape(
          builder.Unary(ScalarOp::kSigmoid,
                        builder.Mul(builder.Constant(2.0F), field)),
          Shape({rows, sites}));
    }
    const ValueId flat = builder.Reshape(field, Shape({rows, sites, width}));
    const ValueId log_z =
        builder.LogSumExp(flat, {2}, GraphBuilder::ReducedAxes::kKeep);
    return builder.Unary(ScalarOp::kExp, builder.Sub(flat, log_z));
  }

  // The sites of each colour. Sums of the colours along the axes: two colours
  // do, but for a cycle of odd length, which takes three.
  std::vector<std::vector<int64_t>> Colours() const {
    int64_t count = 2;
    int64_t sites = 1;
    for (const int64_t size : parts_.size) {
      if (parts_.periodic && size % 2 == 1) count = 3;
      sites *= size;
    }
    std::vector<std::vector<int64_t>> colours(static_cast<size_t>(count));
    for (int64_t site = 0; site < sites; ++site) {
      int64_t rest = site;
      int64_t colour = 0;
      for (size_t axis = parts_.size.size(); axis-- > 0;) {
        const int64_t size = parts_.size[axis];
        const int64_t at = rest % size;
        rest /= size;
        const bool closes_odd_cycle =
            parts_.periodic && size % 2 == 1 && at == size - 1;
        colour += closes_odd_cycle ? 2 : at % 2;
      }
      colours[static_cast<size_t>(colour % count)].push_back(site);
    }
    std::erase_if(colours, [](const auto& sites) { return sites.empty(); });
    return colours;
  }

  const Parts parts_;
  const Shape state_shape_;
};

bool IsKnown(const std::string& name) {
  return name == "J0" || name == "J1" || name == "J2" || name == "h";
}

// Along a free axis the last site has no next one.
absl::Status CheckFreeEnd(const std::string& name, const Tensor& couplings,
                          int axis) {
  const Shape& shape = couplings.shape();
  int64_t inner = 1;
  for (int i = axis + 1; i < shape.rank(); ++i) inner *= shape.dim(i);
  const auto j = couplings.data<float>();
  for (size_t i = 0; i < j.size(); ++i) {
    const bool at_end = static_cast<int64_t>(i) / inner % shape.dim(axis) ==
                        shape.dim(axis) - 1;
    if (at_end && j[i] != 0) {
      return WeightError(
          name, absl::StrCat("expected 0 at the end of the free axis ", axis,
                             ", got ", j[i], " at element ", i));
    }
  }
  return absl::OkStatus();
}

// [size...] with an axis of 1 for the states of Potts.
absl::StatusOr<Tensor> Broadcastable(const Tensor& sites, bool potts) {
  if (!potts) return sites;
  Shape::Dims dims = sites.shape().dims();
  dims.push_back(1);
  BASIN_ASSIGN_OR_RETURN(const Shape shape, Shape::Create(dims));
  return sites.Reshaped(shape);
}

absl::Status LoadArrays(const ModelFiles& files, ModelInfo* info,
                        LatticeFamily::Parts* parts) {
  std::error_code error;
  if (!std::filesystem::exists(files.Path("model.safetensors"), error)) {
    return absl::OkStatus();
  }
  BASIN_ASSIGN_OR_RETURN(WeightFile file,
                         WeightFile::Open(files, IsKnown, info));
  BASIN_ASSIGN_OR_RETURN(const Shape sites, Shape::Create(parts->size));
  for (int axis = 0; axis < 3; ++axis) {
    const std::string name = absl::StrCat("J", axis);
    if (!file.file().Has(name)) continue;
    if (axis >= sites.rank()) {
      return WeightError(
          name,
          absl::StrCat("expected J0 to J", sites.rank() - 1,
                       ", since lattice.size has ", sites.rank(), " axes"));
    }
    BASIN_ASSIGN_OR_RETURN(const Tensor j, file.Load(name, sites));
    if (!parts->periodic) {
      BASIN_RETURN_IF_ERROR(CheckFreeEnd(name, j, axis));
    }
    BASIN_ASSIGN_OR_RETURN(parts->couplings[static_cast<size_t>(axis)],
                           Broadcastable(j, parts->states != 0));
  }
  if (!file.file().Has("h")) return absl::OkStatus();
  std::vector<int64_t> dims = parts->size;
  if (parts->states != 0) dims.push_back(parts->states);
  BASIN_ASSIGN_OR_RETURN(const Shape shape, Shape::Create(dims));
  BASIN_ASSIGN_OR_RETURN(parts->field, file.Load("h", shape));
  return absl::OkStatus();
}

}  // namespace

SourceOr OpenLattice(const ModelFiles& files, ModelSettings* settings) {
  const LatticeSettings& lattice = settings->lattice;
  LatticeFamily::Parts parts;
  parts.size = lattice.size;
  parts.states = lattice.states;
  parts.periodic = lattice.periodic;
  parts.couplings.assign(lattice.size.size(), Tensor::Scalar(lattice.coupling));
  parts.field = lattice.field.empty()
                    ? Tensor::Scalar(0.0F)
                    : Tensor::Of<float>(
                          Shape({static_cast<int64_t>(lattice.field.size())}),
                          lattice.field);
  BASIN_RETURN_IF_ERROR(LoadArrays(files, &settings->info, &parts));
  std::vector<int64_t> dims = lattice.size;
  if (lattice.states != 0) dims.push_back(lattice.states);
  BASIN_ASSIGN_OR_RETURN(const Shape shape, Shape::Create(dims));
  BASIN_RETURN_IF_ERROR(CompleteState(shape, settings));
  const bool potts = lattice.states != 0;
  const Shape& state = settings->info.state_shape;
  if (potts && state.dim(-1) != lattice.states) {
    return absl::InvalidArgumentError(absl::StrCat(
        "config.pbtxt: input.shape: expected lattice.states = ", lattice.states,
        " as the last dimension, got ", state.ToString()));
  }
  BASIN_RETURN_IF_ERROR(
      CompleteDomain(potts ? DomainKind::kCategorical : DomainKind::kBinary,
                     lattice.states, settings));
  return std::make_shared<LatticeFamily>(std::move(parts), state);
}

}  // namespace basin::internal
