#ifndef BASIN_CORE_BACKEND_CPU_DNNL_KERNEL_H_
#define BASIN_CORE_BACKEND_CPU_DNNL_KERNEL_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <oneapi/dnnl/dnnl.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "core/backend/cpu/kernel.h"

namespace basin {

// Memory that a oneDNN primitive reads or writes, and where it is.
struct DnnlMemory {
  enum class Place { kValue, kScratch, kFixed };

  dnnl::memory::desc desc;
  Place place = Place::kValue;
  ValueId value = -1;  // kValue
  size_t offset = 0;   // kValue, kScratch: bytes
  dnnl::memory fixed;  // kFixed: packed weights
};

// A few oneDNN primitives, one after the other. oneDNN's scratchpads are part
// of scratch_bytes().
class DnnlKernel : public Kernel {
 public:
  // `name` is the operation's, for messages.
  explicit DnnlKernel(std::string_view name, dnnl::engine engine)
      : name_(name), engine_(std::move(engine)) {}

  size_t scratch_bytes() const override { return scratch_bytes_; }
  std::unique_ptr<KernelState> CreateState() const override;
  absl::Status Run(const KernelContext& context) const override;

  // What follows builds the kernel, and throws dnnl::error.

  const dnnl::engine& engine() const { return engine_; }
  static DnnlMemory Value(ValueId value, const dnnl::memory::desc& desc);
  static DnnlMemory Fixed(const dnnl::memory& memory);
  // Scratch memory of its own.
  DnnlMemory Scratch(const dnnl::memory::desc& desc);
  struct Argument {
    int name;  // DNNL_ARG_*
    DnnlMemory memory;
  };
  void AddCall(const dnnl::primitive& primitive,
               std::vector<Argument> arguments);
  void AddReorder(const DnnlMemory& from, const DnnlMemory& to);
  // The product of matrices, or of a batch of them, that `product` is of. Each
  // row of two matrices has the same bits whatever their number, if the left
  // one is dense: see SteadyRows().
  void AddMatmul(const dnnl::matmul::primitive_desc& product,
                 const DnnlMemory& left, const DnnlMemory& right,
                 const DnnlMemory& out);
  // `from` in the layout `wanted`: itself, or a copy that AddReorder() makes.
  DnnlMemory InLayout(const DnnlMemory& from, const dnnl::memory::desc& wanted);

 private:
  struct Call {
    dnnl::primitive primitive;
    std::vector<Argument> arguments;
  };
  class State;

  void AddRows(const DnnlMemory& left, const DnnlMemory& right,
               const DnnlMemory& out);

  const std::string name_;
  const dnnl::engine engine_;
  std::vector<Call> calls_;
  size_t scratch_bytes_ = 0;
};

// Primitive attributes of all our primitives.
dnnl::primitive_attr DnnlAttributes();

// `bytes` brought up to the alignment of scratch memory.
size_t AlignedSize(size_t bytes);

// Whether oneDNN may use all of `isa` here, in what --max_isa leaves.
bool DnnlHas(dnnl_cpu_isa_t isa);

// oneDNN's products for AVX2 and older sets sum some rows in another order
// than the rest: six rows are taken at a time, and the last one, two or three
// of them otherwise, and so are rows of large products. All rows are summed
// alike in products of SteadyRows(n) rows, the least such number from n on, if
// that is at most MaxSteadyRows().
int64_t MaxSteadyRows();
int64_t SteadyRows(int64_t rows);

// A row-major description of `shape`.
dnnl::memory::desc DenseDesc(const Shape& shape);

// The type that products multiply in.
dnnl::memory::data_type FactorType(Precision precision);

// Runs `build`, and turns what oneDNN throws into a status with the
// operation's name and shapes.
KernelOr CatchDnnl(const KernelInput& input,
                   const std::function<KernelOr()>& build);

}  // namespace basin

#endif  // BASIN_CORE_BACKEND_CPU_DNNL_KERNEL_H_
