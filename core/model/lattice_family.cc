// Ising and Potts models on a line, a square or a cubic lattice; see Lattice
// in core/model/model_config.proto for the energies. Every edge is counted
// from the site at its lower end.

#include <algorithm>
#include <filesystem>
#include <optional>
#include <system_error>

#include <absl/strings/str_cat.h>

#include "core/base/status_macros.h"
#include "core/model/families.h"
#include "core/model/weight_file.h"

namespace basin::internal {
namespace {

class LatticeFamily final : public EnergySource {
 public:
  struct Parts {
    std::vector<int64_t> size;
    int64_t states = 0;  // q; 0 = Ising
    bool periodic = true;
    std::vector<Tensor> couplings;  // of each axis, broadcasts to the sites
    Tensor field;                   // broadcasts to the sites
  };

  // None of the colours is without sites.
  static int64_t ColourCount(const Parts& parts) {
    int64_t count = 1;
    for (const int64_t size : parts.size) {
      if (size == 1) continue;
      count = std::max<int64_t>(count, parts.periodic && size % 2 == 1 ? 3 : 2);
    }
    return count;
  }

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
      const ValueId next = Next(spins, axis, builder);
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
      int /*rows*/) const override {
    std::vector<Conditional> blocks;
    for (std::vector<int32_t>& sites : Colours()) {
      Conditional block;
      block.kind = parts_.states == 0 ? BlockLaw::Kind::kBernoulli
                                      : BlockLaw::Kind::kCategorical;
      block.variables = static_cast<int64_t>(sites.size());
      block.classes = parts_.states;
      block.sites = std::move(sites);
      block.table = TableOf(block.sites);
      blocks.push_back(std::move(block));
    }
    return blocks;
  }

  int64_t TableBytes() const override {
    // A neighbour and its weight on both sides of each axis, a bias for each
    // coordinate, and the site itself.
    const int64_t sites =
        state_shape_.num_elements() / std::max<int64_t>(parts_.states, 1);
    const auto neighbours = static_cast<int64_t>(2 * parts_.size.size());
    const int64_t each = 2 * neighbours + std::max<int64_t>(parts_.states, 1);
    return sites * (each + 1) * static_cast<int64_t>(sizeof(float));
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

  // At each site the value of the next one along `axis`; 0 where there is
  // none. REQUIRES: the axis has two sites or more.
  ValueId Next(ValueId x, size_t axis, GraphBuilder& builder) const {
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
    if (parts_.periodic) {
      return builder.Concat({slice(1, size), slice(0, 1)},
                            static_cast<int>(at));
    }
    PadAttrs pad;
    pad.before.assign(shape.rank(), 0);
    pad.after.assign(shape.rank(), 0);
    pad.interior.assign(shape.rank(), 0);
    pad.after[at] = 1;
    return builder.Pad(slice(1, size), pad);
  }

  double CouplingAt(size_t axis, int64_t site) const {
    const Tensor& j = parts_.couplings[axis];
    return RealAt(j, j.num_elements() == 1 ? 0 : static_cast<size_t>(site));
  }

  // Of state `a` of Potts, or 0 for Ising.
  double FieldAt(int64_t site, int64_t a) const {
    const int64_t at = site * std::max<int64_t>(parts_.states, 1) + a;
    return RealAt(parts_.field,
                  static_cast<size_t>(at % parts_.field.num_elements()));
  }

  // What pulls at each of `sites`: for state a of Potts h_a + sum J x_a over
  // the neighbours. For Ising, where energies of s = 1 and s = -1 differ by
  // 2 (h + sum J s) and s = 2 x - 1, it is 2 h - 2 sum J + 4 sum J x.
  NeighbourTable TableOf(const std::vector<int32_t>& sites) const {
    const bool ising = parts_.states == 0;
    const size_t n = sites.size();
    NeighbourTable table;
    std::vector<double> bias;
    for (const int32_t site : sites) {
      if (ising) bias.push_back(2 * FieldAt(site, 0));
      for (int64_t a = 0; a < parts_.states; ++a) {
        bias.push_back(FieldAt(site, a));
      }
    }
    int64_t stride = 1;
    for (size_t axis = parts_.size.size(); axis-- > 0;) {
      if (parts_.size[axis] == 1) continue;
      for (const int64_t ahead : {1, -1}) {
        for (size_t i = 0; i < n; ++i) {
          const Edge edge = EdgeAt(sites[i], axis, stride, ahead);
          table.neighbours.push_back(edge.site);
          table.weights.push_back(
              static_cast<float>((ising ? 4 : 1) * edge.coupling));
          if (ising) bias[i] -= 2 * edge.coupling;
        }
      }
      stride *= parts_.size[axis];
    }
    table.bias.assign(bias.begin(), bias.end());
    table.sites = stride;
    return table;
  }

  // From `site` to the next one along `axis` (ahead = 1), or the previous one
  // (-1). `stride` sites lie from one to the next.
  struct Edge {
    int32_t site = 0;  // any, if there is none
    double coupling = 0;
  };
  Edge EdgeAt(int64_t site, size_t axis, int64_t stride, int64_t ahead) const {
    const int64_t size = parts_.size[axis];
    const int64_t at = site / stride % size;
    int64_t to = at + ahead;
    if (parts_.periodic) to = (to + size) % size;
    if (to < 0 || to == size) return {};
    const int64_t other = site + (to - at) * stride;
    return {static_cast<int32_t>(other),
            CouplingAt(axis, ahead > 0 ? site : other)};
  }

  // The sites of each colour. Sums of the colours along the axes: two colours
  // do, but for a cycle of odd length, which takes three.
  std::vector<std::vector<int32_t>> Colours() const {
    const int64_t count = ColourCount(parts_);
    int64_t sites = 1;
    for (const int64_t size : parts_.size) sites *= size;
    std::vector<std::vector<int32_t>> colours(static_cast<size_t>(count));
    for (int64_t site = 0; site < sites; ++site) {
      int64_t rest = site;
      int64_t colour = 0;
      for (size_t axis = parts_.size.size(); axis-- > 0;) {
        const int64_t size = parts_.size[axis];
        const int64_t at = rest % size;
        rest /= size;
        const bool closes_odd_cycle =
            parts_.periodic && size % 2 == 1 && at == size - 1;
        colour += closes_odd_cycle && size > 1 ? 2 : at % 2;
      }
      colours[static_cast<size_t>(colour % count)].push_back(
          static_cast<int32_t>(site));
    }
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
  for (size_t i = 0; i < static_cast<size_t>(couplings.num_elements()); ++i) {
    const double j = RealAt(couplings, i);
    const bool at_end = static_cast<int64_t>(i) / inner % shape.dim(axis) ==
                        shape.dim(axis) - 1;
    if (at_end && j != 0) {
      return WeightError(
          name, absl::StrCat("expected 0 at the end of the free axis ", axis,
                             ", got ", j, " at element ", i));
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
  parts.couplings.assign(lattice.size.size(), RealScalar(lattice.coupling));
  parts.field = lattice.field.empty()
                    ? Tensor::Scalar(0.0F)
                    : Tensor::Of<double>(
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
  for (int64_t i = 0; i < LatticeFamily::ColourCount(parts); ++i) {
    settings->info.blocks.push_back(absl::StrCat("sites", i));
  }
  return std::make_shared<LatticeFamily>(std::move(parts), state);
}

}  // namespace basin::internal
