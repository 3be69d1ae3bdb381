#ifndef BASIN_CORE_SCHEDULER_SCORE_JOB_H_
#define BASIN_CORE_SCHEDULER_SCORE_JOB_H_

#include <cstdint>
#include <memory>
#include <vector>

#include <absl/base/thread_annotations.h>
#include <absl/status/status.h>

#include "core/base/mutex.h"
#include "core/scheduler/job.h"
#include "core/scheduler/row_job.h"

namespace basin::internal {

class RunQueue;

// A Score request: its inputs and results. See RowJob and ScoreJob for thread
// safety.
class ScoreJobImpl final : public ScoreJob, public RowJob {
 public:
  // Bytes that a job holds from its creation until it is destroyed.
  static int64_t HeldBytes(const ScoreSpec& spec);

  // `spec` is checked. HeldBytes() are released to `run_queue` at the end.
  ScoreJobImpl(ScoreSpec spec, std::shared_ptr<RunQueue> run_queue);
  ~ScoreJobImpl() override;

  // ScoreJob:
  bool Done() const override;
  ScoreResult TakeResult() override;
  void Cancel(absl::Status why) override;

  // RowJob:
  int64_t StepsAllowed(int64_t done) const override;
  void Finish(const JobEnd& end) override;
  int64_t UnseenSteps() const override { return 0; }

  // The rows from `row` on, for the worker that runs them; takes no lock.
  struct Rows {
    const float* inputs = nullptr;     // [D]
    double* energies = nullptr;        // [1]
    float* grad_energies = nullptr;    // [D], null if not wanted
    double* class_energies = nullptr;  // [K], null if not wanted
  };
  Rows RowsFrom(int64_t row);

 private:
  const int64_t dimension_;
  const int64_t classes_;
  const int64_t held_bytes_;
  const std::shared_ptr<RunQueue> run_queue_;

  // Rows: see RowJob.
  std::vector<float> inputs_;           // [rows, D]
  std::vector<double> energies_;        // [rows]
  std::vector<float> grad_energies_;    // [rows, D], or empty
  std::vector<double> class_energies_;  // [rows, K], or empty

  mutable Mutex mu_;
  bool done_ ABSL_GUARDED_BY(mu_) = false;
  ScoreResult result_ ABSL_GUARDED_BY(mu_);
};

}  // namespace basin::internal

#endif  // BASIN_CORE_SCHEDULER_SCORE_JOB_H_
