#include "tests/benchmarks/mlp_repository.h"

#include <cmath>
#include <filesystem>
#include <fstream>
#include <onnx/onnx.pb.h>
#include <random>
#include <vector>

namespace basin::benchmarks {
namespace {

void AddWeights(onnx::GraphProto& graph, const std::string& name,
                const std::vector<int64_t>& shape, std::mt19937& random) {
  onnx::TensorProto& tensor = *graph.add_initializer();
  tensor.set_name(name);
  tensor.set_data_type(onnx::TensorProto::FLOAT);
  int64_t count = 1;
  for (const int64_t dim : shape) {
    tensor.add_dims(dim);
    count *= dim;
  }
  const double scale = 1 / std::sqrt(static_cast<double>(shape.back()));
  std::normal_distribution<double> normal(0, scale);
  for (int64_t i = 0; i < count; ++i) {
    tensor.add_float_data(static_cast<float>(normal(random)));
  }
}

onnx::NodeProto& AddNode(onnx::GraphProto& graph, const std::string& op,
                         const std::vector<std::string>& inputs,
                         const std::string& output) {
  onnx::NodeProto& node = *graph.add_node();
  node.set_op_type(op);
  node.set_name(output);
  for (const std::string& input : inputs) node.add_input(input);
  node.add_output(output);
  return node;
}

// output = input W^T + b, W [out, in].
void AddLinear(onnx::GraphProto& graph, const std::string& name,
               const std::string& input, int64_t in, int64_t out,
               std::mt19937& random) {
  AddWeights(graph, name + "_w", {out, in}, random);
  AddWeights(graph, name + "_b", {out}, random);
  onnx::NodeProto& gemm =
      AddNode(graph, "Gemm", {input, name + "_w", name + "_b"}, name);
  onnx::AttributeProto& transpose = *gemm.add_attribute();
  transpose.set_name("transB");
  transpose.set_type(onnx::AttributeProto::INT);
  transpose.set_i(1);
}

void AddSilu(onnx::GraphProto& graph, const std::string& input,
             const std::string& output) {
  AddNode(graph, "Sigmoid", {input}, output + "_sigmoid");
  AddNode(graph, "Mul", {input, output + "_sigmoid"}, output);
}

void DeclareRows(onnx::ValueInfoProto& value, const std::string& name,
                 int64_t columns) {
  value.set_name(name);
  auto& type = *value.mutable_type()->mutable_tensor_type();
  type.set_elem_type(onnx::TensorProto::FLOAT);
  type.mutable_shape()->add_dim()->set_dim_param("N");
  type.mutable_shape()->add_dim()->set_dim_value(columns);
}

onnx::ModelProto Mlp() {
  std::mt19937 random(1);
  onnx::ModelProto model;
  model.set_ir_version(7);
  model.add_opset_import()->set_version(13);
  onnx::GraphProto& graph = *model.mutable_graph();
  graph.set_name("mlp");
  DeclareRows(*graph.add_input(), "x", kMlpInput);
  AddLinear(graph, "h1", "x", kMlpInput, kMlpHidden, random);
  AddSilu(graph, "h1", "a1");
  AddLinear(graph, "h2", "a1", kMlpHidden, kMlpHidden, random);
  AddSilu(graph, "h2", "a2");
  AddLinear(graph, "energy", "a2", kMlpHidden, 1, random);
  DeclareRows(*graph.add_output(), "energy", 1);
  return model;
}

}  // namespace

void WriteMlpRepository(const std::string& folder) {
  const std::filesystem::path model = std::filesystem::path(folder) / kMlpName;
  std::filesystem::create_directories(model / "1");
  std::ofstream(model / "config.pbtxt")
      << "family: GRAPH\n"
         "input { name: \"x\" shape: [784] }\n"
         "initial { normal { stddev: 1 } }\n"
         "defaults { steps: 1000 transition { ula { step_size: 0.001 } } }\n";
  std::ofstream file(model / "1" / "model.onnx", std::ios::binary);
  Mlp().SerializeToOstream(&file);
}

}  // namespace basin::benchmarks
