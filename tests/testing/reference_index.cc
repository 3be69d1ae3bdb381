#include "tests/testing/reference_index.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace basin::testing {
namespace {

// -1 for an index outside of the axis.
int64_t Place(double index, int64_t size) {
  const double whole = std::trunc(index);
  const double place = whole < 0 ? whole + static_cast<double>(size) : whole;
  const bool is_inside = place >= 0 && place < static_cast<double>(size);
  return is_inside ? static_cast<int64_t>(place) : -1;
}

}  // namespace

std::vector<double> ReferenceTake(const Node& node,
                                  const std::vector<double>& x,
                                  const std::vector<double>& indices,
                                  const Shape& shape) {
  const bool takes = node.op == Op::kTake;
  const int64_t size = takes ? shape.dim(1) : node.shape.dim(1);
  const int64_t picks = takes ? node.shape.dim(1) : shape.dim(1);
  const int64_t row = shape.dim(2);
  std::vector<double> y(static_cast<size_t>(node.shape.num_elements()), 0.0);
  for (int64_t b = 0; b < shape.dim(0); ++b) {
    for (int64_t k = 0; k < picks; ++k) {
      const int64_t place = Place(indices[b * picks + k], size);
      for (int64_t d = 0; place < 0 && d < (takes ? 1 : size) * row; ++d) {
        y[(takes ? b * picks + k : b * size) * row + d] = std::nan("");
      }
      if (place < 0) continue;
      for (int64_t d = 0; d < row; ++d) {
        const int64_t whole = (b * size + place) * row + d;
        const int64_t picked = (b * picks + k) * row + d;
        y[takes ? picked : whole] += x[takes ? whole : picked];
      }
    }
  }
  return y;
}

// By counting, for each element, those that come before it.
std::vector<double> ReferenceTopK(const Node& node,
                                  const std::vector<double>& x,
                                  const Shape& shape) {
  const auto& attributes = std::get<TopKAttrs>(node.attributes);
  const double sign =
      attributes.order == TopKAttrs::Order::kLargest ? 1.0 : -1.0;
  const int64_t size = shape.dim(-1);
  const auto key = [&](int64_t i) {
    return sign * (std::isnan(x[i]) ? HUGE_VAL : x[i]);
  };
  std::vector<double> places(static_cast<size_t>(node.shape.num_elements()));
  for (int64_t i = 0; i < shape.num_elements(); ++i) {
    const int64_t start = i / size * size;
    int64_t rank = 0;
    for (int64_t j = start; j < start + size; ++j) {
      if (key(j) > key(i) || (key(j) == key(i) && j < i)) ++rank;
    }
    if (rank >= attributes.k) continue;
    places[i / size * attributes.k + rank] = static_cast<double>(i - start);
  }
  return places;
}

std::vector<double> ReferenceCombine(
    const Node& node, const std::vector<std::vector<double>>& energies) {
  const auto& attrs = std::get<CombineAttrs>(node.attributes);
  std::vector<double> y;
  const auto size = static_cast<size_t>(node.shape.num_elements());
  for (size_t i = 0; i < size; ++i) {
    double sum = 0;
    double density = 0;
    double share = 0;
    for (size_t k = 0; k < energies.size(); ++k) {
      const double energy = energies[k][i * energies[k].size() / size];
      const double part = attrs.weights[k] * std::exp(-energy);
      sum += attrs.weights[k] * energy;
      density += part;
      if (static_cast<int>(k) == attrs.term) share = part;
    }
    const bool is_sum = attrs.kind == CombineAttrs::Kind::kSum;
    const double energy =
        (is_sum ? sum : -std::log(density)) / attrs.temperature;
    y.push_back(node.op == Op::kMixtureShare ? share / density : energy);
  }
  return y;
}

}  // namespace basin::testing
