#ifndef BASIN_TESTS_CORE_ONNX_INNER_NODES_H_
#define BASIN_TESTS_CORE_ONNX_INNER_NODES_H_

// Writes subgraphs and functions, for tests of one model with input x [1, 2].

#include <string>
#include <vector>

#include "tests/core/onnx/onnx_test_model.h"

namespace basin::testing {

onnx::AttributeProto& AddAttribute(onnx::NodeProto& node,
                                   const std::string& name,
                                   onnx::AttributeProto::AttributeType type);
onnx::NodeProto MakeNode(const std::string& op, std::vector<std::string> inputs,
                         std::vector<std::string> outputs);

// A subgraph: inputs, nodes, outputs.
onnx::GraphProto Body(std::vector<std::string> inputs,
                      std::vector<onnx::NodeProto> nodes,
                      std::vector<std::string> outputs);
void AddFloat(onnx::GraphProto& graph, const std::string& name, float value);
void AddGraph(onnx::NodeProto& node, const std::string& name,
              const onnx::GraphProto& graph);

// The last node of the model's graph.
onnx::NodeProto& Last(TestModel& model);

// A model with input x [N, 2] and output y, without nodes.
TestModel Model(int64_t opset = 17);
// y for x = (3, 5); adds a failure and gives nothing if there is an error.
std::vector<double> YOf(const TestModel& model);
// The first error of parsing, and of importing one row.
absl::Status Refusal(const TestModel& model, const OnnxLimits& limits = {});

}  // namespace basin::testing

#endif  // BASIN_TESTS_CORE_ONNX_INNER_NODES_H_
