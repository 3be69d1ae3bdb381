#ifndef BASIN_TESTS_BENCHMARKS_ONEDNN_BASELINE_H_
#define BASIN_TESTS_BENCHMARKS_ONEDNN_BASELINE_H_

#include <cstdint>
#include <memory>
#include <vector>

namespace basin::benchmarks {

// Bare oneDNN products, weights packed, one thread: what no engine that uses
// oneDNN can be faster than.
class OnednnBaseline {
 public:
  // Those of one energy and gradient of the MLP of mlp_repository.h.
  explicit OnednnBaseline(int rows);
  // [rows, in] x [in, out] each.
  struct Sizes {
    int64_t in = 0;
    int64_t out = 0;
  };
  OnednnBaseline(int rows, const std::vector<Sizes>& products);
  ~OnednnBaseline();

  // Runs all products once.
  void Run();

 private:
  struct Products;
  std::unique_ptr<Products> products_;
};

}  // namespace basin::benchmarks

#endif  // BASIN_TESTS_BENCHMARKS_ONEDNN_BASELINE_H_
