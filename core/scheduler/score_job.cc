#include "core/scheduler/score_job.h"

#include <utility>

#include "core/base/check.h"
#include "core/scheduler/run_queue.h"

namespace basin::internal {
namespace {

bool WantsGradient(const ScoreSpec& spec) {
  return spec.want == ScoreSpec::Want::kEnergyAndGradient;
}

}  // namespace

int64_t ScoreJobImpl::HeldBytes(const ScoreSpec& spec) {
  const ModelInfo& info = spec.model->info();
  const int64_t floats = info.dimension * (WantsGradient(spec) ? 2 : 1);
  const int64_t doubles = 1 + (spec.want_class_energies ? info.classes : 0);
  const int64_t row_bytes =
      floats * int64_t{sizeof(float)} + doubles * int64_t{sizeof(double)};
  return spec.rows * row_bytes +
         static_cast<int64_t>(spec.context.size() * sizeof(float)) +
         int64_t{sizeof(ScoreJobImpl)};
}

ScoreJobImpl::ScoreJobImpl(ScoreSpec spec, std::shared_ptr<RunQueue> run_queue)
    : RowJob(spec.options, spec.rows, 1, spec.context),
      dimension_(spec.model->info().dimension),
      classes_(spec.want_class_energies ? spec.model->info().classes : 0),
      held_bytes_(HeldBytes(spec)),
      run_queue_(std::move(run_queue)),
      inputs_(std::move(spec.inputs)),
      energies_(spec.rows),
      grad_energies_(WantsGradient(spec) ? inputs_.size() : 0),
      class_energies_(spec.rows * classes_) {}

ScoreJobImpl::~ScoreJobImpl() { run_queue_->ReleaseBytes(held_bytes_); }

bool ScoreJobImpl::Done() const {
  MutexLock lock(mu_);
  return done_;
}

ScoreResult ScoreJobImpl::TakeResult() {
  MutexLock lock(mu_);
  BASIN_CHECK(done_);
  return std::move(result_);
}

void ScoreJobImpl::Cancel(absl::Status why) {
  run_queue_->Cancel(*this, std::move(why));
}

int64_t ScoreJobImpl::StepsAllowed(int64_t done) const { return 1 - done; }

ScoreJobImpl::Rows ScoreJobImpl::RowsFrom(int64_t row) {
  Rows rows;
  rows.inputs = inputs_.data() + row * dimension_;
  rows.energies = energies_.data() + row;
  if (!grad_energies_.empty()) {
    rows.grad_energies = grad_energies_.data() + row * dimension_;
  }
  if (classes_ > 0) {
    rows.class_energies = class_energies_.data() + row * classes_;
  }
  return rows;
}

void ScoreJobImpl::Finish(const JobEnd& end) {
  MutexLock lock(mu_);
  result_.status = end.status;
  result_.queued = end.queued;
  result_.running = end.running;
  if (end.status.ok()) {
    result_.energies = std::move(energies_);
    result_.grad_energies = std::move(grad_energies_);
    result_.class_energies = std::move(class_energies_);
  }
  inputs_ = {};
  done_ = true;
}

}  // namespace basin::internal
