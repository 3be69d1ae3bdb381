#include "tests/benchmarks/onednn_baseline.h"

#include <omp.h>

#include <oneapi/dnnl/dnnl.hpp>
#include <unordered_map>
#include <vector>

#include "tests/benchmarks/mlp_repository.h"

namespace basin::benchmarks {
namespace {

using dnnl::memory;

// One product [rows, in] x [in, out] with packed weights.
struct Product {
  dnnl::matmul primitive;
  std::unordered_map<int, memory> arguments;
};

memory::desc Plain(int64_t rows, int64_t columns) {
  return memory::desc({rows, columns}, memory::data_type::f32,
                      memory::format_tag::ab);
}

Product MakeProduct(const dnnl::engine& engine, int64_t rows, int64_t in,
                    int64_t out) {
  const memory::desc any({in, out}, memory::data_type::f32,
                         memory::format_tag::any);
  const dnnl::matmul::primitive_desc descriptor(
      dnnl::matmul::desc(Plain(rows, in), any, Plain(rows, out)), engine);
  Product product{dnnl::matmul(descriptor), {}};
  product.arguments.emplace(DNNL_ARG_SRC, memory(Plain(rows, in), engine));
  product.arguments.emplace(DNNL_ARG_WEIGHTS,
                            memory(descriptor.weights_desc(), engine));
  product.arguments.emplace(DNNL_ARG_DST, memory(Plain(rows, out), engine));
  for (auto& [name, buffer] : product.arguments) {
    auto* values = static_cast<float*>(buffer.get_data_handle());
    const size_t count = buffer.get_desc().get_size() / sizeof(float);
    for (size_t i = 0; i < count; ++i) values[i] = 0.01F;
  }
  return product;
}

}  // namespace

struct OnednnBaseline::Products {
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
  std::vector<Product> all;
};

OnednnBaseline::OnednnBaseline(int rows)
    : OnednnBaseline(rows, {{kMlpInput, kMlpHidden},
                            {kMlpHidden, kMlpHidden},
                            {kMlpHidden, 1},
                            {1, kMlpHidden},
                            {kMlpHidden, kMlpHidden},
                            {kMlpHidden, kMlpInput}}) {}

OnednnBaseline::OnednnBaseline(int rows, const std::vector<Sizes>& products)
    : products_(std::make_unique<Products>()) {
  omp_set_num_threads(1);
  for (const auto& [in, out] : products) {
    products_->all.push_back(MakeProduct(products_->engine, rows, in, out));
  }
}

OnednnBaseline::~OnednnBaseline() = default;

void OnednnBaseline::Run() {
  for (Product& product : products_->all) {
    product.primitive.execute(products_->stream, product.arguments);
  }
  products_->stream.wait();
}

}  // namespace basin::benchmarks
