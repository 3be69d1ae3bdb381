#include "core/backend/cpu/cpu_plan.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>

#include "core/base/check.h"
#include "core/base/status_macros.h"
#include "core/graph/passes.h"

namespace basin {
namespace {

constexpr size_t kAlignment = MemoryPlan::kAlignment;
// A workspace beyond this is a mistake, or an attack.
constexpr size_t kMaxWorkspaceBytes = size_t{1} << 46;

size_t Aligned(size_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

size_t ElementsOf(const Node& node) {
  return static_cast<size_t>(node.shape.num_elements());
}

// The value whose bytes `id` has: reshapes share.
std::vector<ValueId> Owners(const Graph& graph) {
  std::vector<ValueId> owners(static_cast<size_t>(graph.size()));
  for (ValueId id = 0; id < graph.size(); ++id) {
    const Node& node = graph.node(id);
    const auto at = static_cast<size_t>(id);
    owners[at] = node.op == Op::kReshape
                     ? owners[static_cast<size_t>(node.inputs[0])]
                     : id;
  }
  return owners;
}

bool HasEmptyInput(const KernelInput& input) {
  const auto& inputs = input.node().inputs;
  return std::any_of(inputs.begin(), inputs.end(), [&input](ValueId id) {
    return input.graph.shape(id).num_elements() == 0;
  });
}

KernelOr CreateKernel(const KernelInput& input) {
  const Op op = input.node().op;
  // Sums of nothing, and padding around nothing, are zero.
  if (op != Op::kConcat && HasEmptyInput(input)) return CreateZeroKernel(input);
  switch (op) {
    case Op::kElementwise:
    case Op::kFused:
      return CreateProgramKernel(input);
    case Op::kReduceSum:
    case Op::kReduceMax:
      return CreateReduceKernel(input);
    case Op::kStopGradient:
    case Op::kBroadcast:
    case Op::kTranspose:
    case Op::kSlice:
    case Op::kPad:
    case Op::kConcat:
      return CreateCopyKernel(input);
    case Op::kGather:
    case Op::kScatterAdd:
      return CreateIndexKernel(input);
    case Op::kTake:
    case Op::kPutAdd:
      return CreateTakeKernel(input);
    case Op::kTopK:
      return CreateTopKKernel(input);
    case Op::kToFloat64:
      return input.precision == Precision::kFloat64 ? CreateCopyKernel(input)
                                                    : CreateWidenKernel(input);
    case Op::kCombineEnergies:
    case Op::kMixtureShare:
      return CreateCombineKernel(input);
    case Op::kMaxPool:
    case Op::kMaxPoolGrad:
    case Op::kAvgPool:
    case Op::kAvgPoolGrad:
      return CreatePoolKernel(input);
    case Op::kMatmul:
      return CreateMatmulKernel(input);
    case Op::kConv:
    case Op::kConvBackwardData:
    case Op::kConvBackwardWeights:
      return CreateConvKernel(input);
    case Op::kInput:
    case Op::kConstant:
    case Op::kReshape:
      break;
  }
  return absl::UnimplementedError(
      absl::StrCat("the CPU backend cannot compute ", std::string(Name(op))));
}

constexpr ValueId kNoValue = -1;

// Sums that form an energy are added up in double.
struct WideSums {
  // For a kReduceSum that a kToFloat64 reads, through reshapes or not, that
  // kToFloat64; for the kToFloat64 itself; and kNoValue for all others.
  std::vector<ValueId> wide;
  // Whether anything else reads such a sum, in float32.
  std::vector<bool> narrow;
};

WideSums FindWideSums(const Graph& graph, Precision precision) {
  const auto size = static_cast<size_t>(graph.size());
  WideSums sums = {std::vector<ValueId>(size, kNoValue),
                   std::vector<bool>(size, false)};
  if (precision == Precision::kFloat64) return sums;
  const std::vector<ValueId> owners = Owners(graph);
  for (ValueId id = 0; id < graph.size(); ++id) {
    const Node& node = graph.node(id);
    if (node.op == Op::kReshape) continue;
    for (const ValueId input : node.inputs) {
      const ValueId from = owners[static_cast<size_t>(input)];
      const auto at = static_cast<size_t>(from);
      const bool widens = node.op == Op::kToFloat64 &&
                          graph.node(from).op == Op::kReduceSum &&
                          sums.wide[at] == kNoValue;
      if (widens &&
          graph.shape(graph.node(from).inputs[0]).num_elements() > 0) {
        sums.wide[at] = id;
        sums.wide[static_cast<size_t>(id)] = id;
      } else {
        sums.narrow[at] = true;
      }
    }
  }
  for (const ValueId id : graph.outputs()) {
    sums.narrow[static_cast<size_t>(owners[static_cast<size_t>(id)])] = true;
  }
  return sums;
}

bool NeedsKernel(const Node& node) {
  return node.op != Op::kInput && node.op != Op::kConstant &&
         node.op != Op::kReshape && node.shape.num_elements() > 0;
}

// Whether the kernels of `op` read a constant second operand packed only.
bool IsPackedOperand(Op op) {
  return op == Op::kMatmul || op == Op::kConv || op == Op::kConvBackwardData;
}

}  // namespace

// Takes states for one Run(), and gives them back.
class CpuPlan::Lease {
 public:
  explicit Lease(const CpuPlan& plan) : plan_(plan) {
    {
      MutexLock lock(plan_.mu_);
      if (!plan_.idle_.empty()) {
        states_ = std::move(plan_.idle_.back());
        plan_.idle_.pop_back();
        return;
      }
      // One more worker than ever before.
      plan_.idle_.reserve(++plan_.num_states_);
    }
    states_ = plan_.NewStates();
  }
  ~Lease() {
    MutexLock lock(plan_.mu_);
    plan_.idle_.push_back(std::move(states_));
  }
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;

  KernelState* state(size_t kernel) const { return states_[kernel].get(); }

 private:
  const CpuPlan& plan_;
  States states_;
};

absl::StatusOr<std::unique_ptr<Plan>> CpuPlan::Create(
    const Graph& graph, const std::shared_ptr<CpuWeightStore>& weights,
    const dnnl::engine& engine, Precision precision) {
  std::unique_ptr<CpuPlan> plan(new CpuPlan(weights, precision));
  BASIN_RETURN_IF_ERROR(plan->Place(graph));
  BASIN_RETURN_IF_ERROR(plan->AddKernels(graph, engine));
  plan->ReleasePacked(graph);
  BASIN_RETURN_IF_ERROR(plan->SumUpMemory(graph));
  { const Lease warm_up(*plan); }  // the first worker's states
  return plan;
}

absl::Status CpuPlan::Place(const Graph& graph) {
  const MemoryPlan memory = PlanMemory(graph);
  if (memory.arena_size > kMaxWorkspaceBytes) {
    return absl::ResourceExhaustedError("a plan's values need over 2^46 bytes");
  }
  // PlanMemory() counts floats.
  const size_t scale = is_double() ? sizeof(double) / sizeof(float) : 1;
  arena_bytes_ = memory.arena_size * scale;
  num_inputs_ = graph.inputs().size();
  num_outputs_ = graph.outputs().size();
  locations_.resize(static_cast<size_t>(graph.size()));
  for (ValueId id = 0; id < graph.size(); ++id) {
    const auto at = static_cast<size_t>(id);
    if (memory.offsets[at] != MemoryPlan::kNoOffset) {
      locations_[at].offset = memory.offsets[at] * scale;
    }
    const Node& node = graph.node(id);
    if (node.op != Op::kConstant) continue;
    constants_.push_back(
        weights_->Intern(graph.attributes<ConstantAttrs>(id).value));
    const Tensor& constant = constants_.back();
    const bool widens = is_double() && constant.dtype() == DType::kFloat32;
    locations_[at] = {
        Location::Place::kConstant, 0,
        widens ? static_cast<const void*>(weights_->Widened(constant))
               : constant.bytes()};
  }
  PlaceInputs(graph);
  PlaceOutputs(graph);
  for (ValueId id = 0; id < graph.size(); ++id) {
    Location& location = locations_[static_cast<size_t>(id)];
    if (graph.node(id).dtype == DType::kFloat64 &&
        location.place == Location::Place::kArena) {
      location = NewConverted(graph.node(id));
    }
  }
  return absl::OkStatus();
}

CpuPlan::Location CpuPlan::NewConverted(const Node& node) {
  const Location location = {Location::Place::kConverted, converted_bytes_,
                             nullptr};
  converted_bytes_ += Aligned(ElementsOf(node) * sizeof(double));
  return location;
}

void CpuPlan::PlaceInputs(const Graph& graph) {
  for (size_t i = 0; i < num_inputs_; ++i) {
    const ValueId id = graph.inputs()[i];
    Location& location = locations_[static_cast<size_t>(id)];
    if (is_double()) {
      location = NewConverted(graph.node(id));
      input_copies_.push_back({id, i, ElementsOf(graph.node(id))});
    } else {
      location = {Location::Place::kInput, i, nullptr};
    }
  }
}

void CpuPlan::PlaceOutputs(const Graph& graph) {
  const std::vector<ValueId> owners = Owners(graph);
  for (size_t o = 0; o < num_outputs_; ++o) {
    const ValueId value = graph.outputs()[o];
    const Node& node = graph.node(value);
    Location& location =
        locations_[static_cast<size_t>(owners[static_cast<size_t>(value)])];
    const bool in_arena = location.place == Location::Place::kArena;
    if (in_arena) {
      location = is_double() ? NewConverted(node)
                             : Location{Location::Place::kOutput, o, nullptr};
    }
    if (!in_arena || is_double()) {
      output_copies_.push_back({value, o, ElementsOf(node), node.dtype});
    }
  }
  for (size_t id = 0; id < owners.size(); ++id) {
    locations_[id] = locations_[static_cast<size_t>(owners[id])];
  }
}

absl::Status CpuPlan::AddKernels(const Graph& graph,
                                 const dnnl::engine& engine) {
  std::vector<const Tensor*> constants(static_cast<size_t>(graph.size()));
  auto next = constants_.begin();
  for (ValueId id = 0; id < graph.size(); ++id) {
    if (graph.node(id).op == Op::kConstant) {
      constants[static_cast<size_t>(id)] = &*next++;
    }
  }
  const WideSums sums = FindWideSums(graph, precision_);
  for (ValueId id = 0; id < graph.size(); ++id) {
    if (!NeedsKernel(graph.node(id))) continue;
    const KernelInput input = {graph,  id,        *weights_,
                               engine, constants, precision_};
    const ValueId wide = sums.wide[static_cast<size_t>(id)];
    if (wide == id) continue;  // computed with its sum
    if (wide != kNoValue) {
      BASIN_ASSIGN_OR_RETURN(kernels_.emplace_back(),
                             CreateDoubleSumKernel(input, wide));
      if (!sums.narrow[static_cast<size_t>(id)]) continue;
    }
    BASIN_ASSIGN_OR_RETURN(kernels_.emplace_back(), CreateKernel(input));
  }
  return absl::OkStatus();
}

// Constants that are only the weights of products were packed: their elements
// are not read again.
void CpuPlan::ReleasePacked(const Graph& graph) {
  std::vector<bool> read(static_cast<size_t>(graph.size()), is_double());
  for (const ValueId id : graph.outputs()) read[static_cast<size_t>(id)] = true;
  for (ValueId id = 0; id < graph.size(); ++id) {
    const Node& node = graph.node(id);
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      if (i == 1 && IsPackedOperand(node.op)) continue;
      read[static_cast<size_t>(node.inputs[i])] = true;
    }
  }
  auto next = constants_.begin();
  for (ValueId id = 0; id < graph.size(); ++id) {
    if (graph.node(id).op != Op::kConstant) continue;
    Tensor& constant = *next++;
    if (read[static_cast<size_t>(id)]) {
      weights_->KeepElements(constant);
    } else {
      constant = Tensor();
    }
  }
}

absl::Status CpuPlan::SumUpMemory(const Graph& graph) {
  size_t scratch = 0;
  for (const std::unique_ptr<Kernel>& kernel : kernels_) {
    scratch = std::max(scratch, kernel->scratch_bytes());
  }
  if (scratch > kMaxWorkspaceBytes) {
    return absl::ResourceExhaustedError(
        "a plan's scratch needs over 2^46 "
        "bytes");
  }
  arena_offset_ = Aligned(static_cast<size_t>(graph.size()) * sizeof(float*));
  converted_offset_ = arena_offset_ + Aligned(arena_bytes_);
  scratch_offset_ = converted_offset_ + converted_bytes_;
  workspace_bytes_ = scratch_offset_ + Aligned(scratch);
  return absl::OkStatus();
}

CpuPlan::States CpuPlan::NewStates() const {
  States states;
  states.reserve(kernels_.size());
  for (const std::unique_ptr<Kernel>& kernel : kernels_) {
    states.push_back(kernel->CreateState());
  }
  return states;
}

float** CpuPlan::Addresses(Workspace& workspace,
                           absl::Span<const float* const> inputs,
                           absl::Span<void* const> outputs) const {
  std::byte* memory = workspace.memory.get();
  auto** addresses = reinterpret_cast<float**>(memory);
  for (size_t id = 0; id < locations_.size(); ++id) {
    const Location& location = locations_[id];
    switch (location.place) {
      case Location::Place::kArena:
        addresses[id] =
            reinterpret_cast<float*>(memory + arena_offset_ + location.offset);
        break;
      case Location::Place::kConverted:
        addresses[id] = reinterpret_cast<float*>(memory + converted_offset_ +
                                                 location.offset);
        break;
      // Kernels write only their own result, never an input or a constant.
      case Location::Place::kInput:
        addresses[id] = const_cast<float*>(inputs[location.offset]);
        break;
      case Location::Place::kConstant:
        addresses[id] =
            static_cast<float*>(const_cast<void*>(location.constant));
        break;
      case Location::Place::kOutput:
        addresses[id] = static_cast<float*>(outputs[location.offset]);
        break;
    }
  }
  return addresses;
}

void CpuPlan::CopyOutputs(float* const* addresses,
                          absl::Span<void* const> outputs) const {
  for (const OutputCopy& copy : output_copies_) {
    const float* from = addresses[static_cast<size_t>(copy.value)];
    void* to = outputs[copy.output];
    if (copy.elements == 0) continue;
    if (is_double() && copy.dtype == DType::kFloat32) {
      const auto* wide = reinterpret_cast<const double*>(from);
      std::transform(wide, wide + copy.elements, static_cast<float*>(to),
                     [](double x) { return static_cast<float>(x); });
    } else {
      std::memcpy(to, from, copy.elements * ByteSize(copy.dtype));
    }
  }
}

absl::Status CpuPlan::RunRows(Workspace& workspace, int rows,
                              absl::Span<const float* const> inputs,
                              absl::Span<void* const> outputs) const {
  BASIN_CHECK(workspace.size >= workspace_bytes_);
  BASIN_CHECK(inputs.size() == num_inputs_ && outputs.size() == num_outputs_);
  float* const* addresses = Addresses(workspace, inputs, outputs);
  for (const InputCopy& copy : input_copies_) {
    std::copy_n(
        inputs[copy.input], copy.elements,
        reinterpret_cast<double*>(addresses[static_cast<size_t>(copy.value)]));
  }
  const Lease lease(*this);
  KernelContext context;
  context.values = addresses;
  context.rows = rows;
  context.scratch = workspace.memory.get() + scratch_offset_;
  for (size_t k = 0; k < kernels_.size(); ++k) {
    context.state = lease.state(k);
    BASIN_RETURN_IF_ERROR(kernels_[k]->Run(context));
  }
  CopyOutputs(addresses, outputs);
  return absl::OkStatus();
}

}  // namespace basin
