#include "tests/core/onnx/inner_nodes.h"

#include <utility>

#include "tests/testing/status_matchers.h"

namespace basin::testing {

onnx::AttributeProto& AddAttribute(onnx::NodeProto& node,
                                   const std::string& name,
                                   onnx::AttributeProto::AttributeType type) {
  onnx::AttributeProto& attribute = *node.add_attribute();
  attribute.set_name(name);
  attribute.set_type(type);
  return attribute;
}

onnx::NodeProto MakeNode(const std::string& op, std::vector<std::string> inputs,
                         std::vector<std::string> outputs) {
  onnx::NodeProto node;
  node.set_op_type(op);
  for (const auto& input : inputs) node.add_input(input);
  for (const auto& output : outputs) node.add_output(output);
  return node;
}

onnx::GraphProto Body(std::vector<std::string> inputs,
                      std::vector<onnx::NodeProto> nodes,
                      std::vector<std::string> outputs) {
  onnx::GraphProto graph;
  for (const auto& input : inputs) graph.add_input()->set_name(input);
  for (auto& node : nodes) *graph.add_node() = std::move(node);
  for (const auto& output : outputs) graph.add_output()->set_name(output);
  return graph;
}

void AddFloat(onnx::GraphProto& graph, const std::string& name, float value) {
  onnx::TensorProto& tensor = *graph.add_initializer();
  tensor.set_name(name);
  tensor.set_data_type(onnx::TensorProto::FLOAT);
  tensor.add_float_data(value);
}

void AddGraph(onnx::NodeProto& node, const std::string& name,
              const onnx::GraphProto& graph) {
  *AddAttribute(node, name, onnx::AttributeProto::GRAPH).mutable_g() = graph;
}

onnx::NodeProto& Last(TestModel& model) {
  return *model.graph().mutable_node(model.graph().node_size() - 1);
}

TestModel Model(int64_t opset) {
  TestModel model(opset);
  model.Input("x", {-1, 2}).Output("y");
  return model;
}

std::vector<double> YOf(const TestModel& model) {
  const auto y = RunModel(model, {Floats({1, 2}, {3, 5})});
  EXPECT_OK(y);
  return y.ok() ? Elements(*y) : std::vector<double>();
}

absl::Status Refusal(const TestModel& model, const OnnxLimits& limits) {
  const auto parsed = OnnxModel::Parse(model.Serialize(), "", limits);
  return parsed.ok() ? (*parsed)->Import(1).status() : parsed.status();
}

}  // namespace basin::testing
