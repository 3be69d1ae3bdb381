#ifndef BASIN_CORE_ONNX_ONNX_MODEL_H_
#define BASIN_CORE_ONNX_ONNX_MODEL_H_

// ONNX files as energy graphs. The files are untrusted: every size in them is
// checked against a limit before memory is taken for it, and what cannot be
// read or is not supported is refused with the node, the operator, the opset
// and what would be accepted.
//
// Accepted: opsets 7 to 23 of the default domain, without sparse or quantised
// tensors, and with the operators that SupportedOperators() names; subgraphs
// and model functions are unrolled. All floating-point types are one: what a
// plan computes in, and inputs are float32. Weights of float16 and bfloat16
// become float32, those of float64 are as OnnxDoubles says. Integers and bools
// that depend on the inputs become float32 too; they are exact up to 2^24, and
// divide and cast as integers do. Integers that depend on constants only are 64
// bits. Indices that depend on the inputs and lie outside of their axis give
// NaN: see OnnxGraph::index_limits.

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>
#include <absl/types/span.h>

#include "core/graph/graph.h"
#include "core/tensor/dtype.h"
#include "core/tensor/tensor.h"

namespace basin {

// What a file may ask for. All limits are inclusive.
struct OnnxLimits {
  // Size of the file. Protobuf reads no more than 2 GiB - 1; larger weights
  // go into external data.
  int64_t max_file_bytes = (int64_t{1} << 31) - 1;
  // Memory for the parsed file before weights are converted; a hostile file
  // can need a hundred times its own size.
  int64_t max_parsed_bytes = int64_t{1} << 32;
  // Nodes of the file, those of subgraphs and functions among them.
  int64_t max_nodes = 100'000;
  // Nodes that one import lowers inside of loops, branches and functions, and
  // those that it makes of the steps of recurrent layers: what unrolls to more
  // is refused.
  int64_t max_unrolled_nodes = 100'000;
  // How deep subgraphs and calls of functions may be nested.
  int64_t max_depth = 64;
  // Elements of one tensor that the graph computes, for the imported row
  // count.
  int64_t max_elements = int64_t{1} << 30;
  // Elements of one constant that is larger than what it is made from: of
  // Range, Expand, OneHot, ConstantOfShape, an outer product.
  int64_t max_generated_elements = int64_t{1} << 26;
  // Memory for all constants together: weights, external data, and what is
  // computed from them at import.
  int64_t max_constant_bytes = int64_t{1} << 33;
};

// What becomes of float64 weights, and what constants are computed in at
// import.
enum class OnnxDoubles {
  kRound,  // float32, for plans of float32 and bfloat16
  kKeep,   // float64, for plans of float64
};

// A model lowered for one row count.
struct OnnxGraph {
  Graph graph;  // inputs and outputs in the order of the file
  std::vector<std::string> input_names;
  std::vector<std::string> output_names;
  // For each input: n, if it serves as it is as indices into an axis of n
  // elements (the shortest), which are -n to n - 1; 0 if it does not.
  std::vector<int64_t> index_limits;
};

// What a file says about itself.
struct OnnxMetadata {
  std::string producer;  // name and version
  std::string graph_name;
  int64_t ir_version = 0;
  int64_t opset = 0;
  int64_t parameter_count = 0;  // elements of all initialisers of float type
  std::map<std::string, int64_t> operators;  // nodes by operator
};

// One parsed ONNX file. Weights are converted once and shared by every import,
// so that Tensor::id() tells plans of different row counts what they share.
// Immutable; thread-safe.
class OnnxModel {
 public:
  struct ValueInfo {
    std::string name;
    // As declared: kInt32, kUint8, kBool, kInt64 for the other integer types,
    // kFloat32 for all floating-point types. In the graph all are float32.
    DType dtype = DType::kFloat32;
    std::vector<int64_t> dims;  // -1: the row count, or not stated
  };

  ~OnnxModel();
  OnnxModel(const OnnxModel&) = delete;
  OnnxModel& operator=(const OnnxModel&) = delete;

  // Reads a file; external data is looked for in its folder. NotFound if there
  // is none; InvalidArgument, or Unimplemented for operators and types that
  // Basin does not have.
  static absl::StatusOr<std::shared_ptr<const OnnxModel>> Load(
      const std::string& path, const OnnxLimits& limits = {},
      OnnxDoubles doubles = OnnxDoubles::kRound);

  // As Load(), for the bytes of a file. External data is refused if
  // `external_folder` is empty.
  static absl::StatusOr<std::shared_ptr<const OnnxModel>> Parse(
      absl::string_view bytes, const std::string& external_folder = "",
      const OnnxLimits& limits = {}, OnnxDoubles doubles = OnnxDoubles::kRound);

  // The model's arguments, without initialisers that are listed as inputs.
  const std::vector<ValueInfo>& inputs() const;
  const std::vector<ValueInfo>& outputs() const;
  const OnnxMetadata& metadata() const;

  // Lowers the model to primitives for `rows` >= 1 rows: the first dimension
  // of every input that leaves it open. Errors name the node.
  absl::StatusOr<OnnxGraph> Import(int64_t rows) const;

 private:
  struct Impl;
  explicit OnnxModel(std::unique_ptr<const Impl> impl);

  const std::unique_ptr<const Impl> impl_;
};

// The operators that import accepts, in alphabetical order.
std::vector<std::string> SupportedOperators();

}  // namespace basin

#endif  // BASIN_CORE_ONNX_ONNX_MODEL_H_
