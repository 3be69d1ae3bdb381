#ifndef BASIN_TESTS_BENCHMARKS_ONEDNN_BASELINE_H_
#define BASIN_TESTS_BENCHMARKS_ONEDNN_BASELINE_H_

#include <memory>

namespace basin::benchmarks {

// The bare oneDNN products of one energy and gradient of the MLP of
// mlp_repository.h, weights packed, one thread: what no engine that uses
// oneDNN can be faster than.
class OnednnBaseline {
 public:
  explicit OnednnBaseline(int rows);
  ~OnednnBaseline();

  // Runs all products once.
  void Run();

 private:
  struct Products;
  std::unique_ptr<Products> products_;
};

}  // namespace basin::benchmarks

#endif  // BASIN_TESTS_BENCHMARKS_ONEDNN_BASELINE_H_
