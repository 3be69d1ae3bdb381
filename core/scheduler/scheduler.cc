#include "core/scheduler/scheduler.h"

#include <algorithm>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>

#include "core/base/status_macros.h"
#include "core/scheduler/interrupt.h"
#include "core/scheduler/run_queue.h"
#include "core/scheduler/sample_job.h"
#include "core/scheduler/score_job.h"
#include "core/scheduler/spec_check.h"
#include "core/scheduler/worker.h"

namespace basin {
namespace {

using internal::Admission;
using internal::Demand;
using internal::QueueKey;
using internal::RunQueue;
using internal::SampleJobImpl;
using internal::ScoreJobImpl;
using internal::WorkKind;

std::string Describe(std::string_view reason, const Demand& demand) {
  if (reason == "rows") return absl::StrCat(demand.rows, " rows");
  if (reason == "bytes") return absl::StrCat(demand.bytes, " bytes");
  return absl::StrCat(absl::FormatDuration(demand.work), " of work");
}

absl::Status Refusal(const Admission& admission, const Demand& need,
                     const Demand& limits) {
  const std::string needs =
      absl::StrCat("the request needs ", Describe(admission.reason, need));
  const std::string limit =
      absl::StrCat("the server's limit of max_", std::string(admission.reason),
                   " = ", Describe(admission.reason, limits));
  if (admission.verdict == Admission::Verdict::kNever) {
    return absl::InvalidArgumentError(
        absl::StrCat(needs, ", more than ", limit));
  }
  return absl::ResourceExhaustedError(absl::StrCat(
      needs, ", and others already fill ", limit, ": retry in about ",
      absl::ToInt64Seconds(admission.retry_after), " s"));
}

class SchedulerImpl final : public Scheduler {
 public:
  SchedulerImpl(const Backend& backend, const SchedulerOptions& options)
      : backend_(backend),
        clock_(*options.clock),
        observer_(options.observer == nullptr ? &ignored_ : options.observer),
        limits_{options.max_rows, options.max_bytes, options.max_work},
        run_queue_(std::make_shared<RunQueue>(RunQueue::Options{
            options.workers, options.quantum, limits_, options.clock})) {
    for (int i = 0; i < options.workers; ++i) {
      threads_.emplace_back([this] {
        internal::RunWorker(backend_, clock_, stop_, *observer_, *run_queue_);
      });
    }
  }

  ~SchedulerImpl() override {
    run_queue_->Shutdown();
    stop_.SetBy(absl::InfinitePast());
    for (std::thread& thread : threads_) thread.join();
  }

  absl::StatusOr<std::shared_ptr<SampleJob>> Submit(SampleSpec spec) override {
    BASIN_RETURN_IF_ERROR(internal::CheckSample(spec, backend_));
    const Demand need = internal::DemandOf(spec);
    BASIN_ASSIGN_OR_RETURN(DeviceMemory factor, Upload(spec.covariance_factor));
    BASIN_RETURN_IF_ERROR(Reserve(need));
    internal::JobModels models = {spec.model, spec.surrogate, spec.base};
    const Transition& transition = GetTransition(spec.transition.kind);
    const QueueKey key = {
        .model = models.model.get(),
        .kind = WorkKind::kTransition,
        .transition = &transition,
        .surrogate = models.surrogate.get(),
        .evaluations = transition.EvaluationsPerStep(spec.transition),
        .has_base = spec.annealing.base != AnnealingOptions::Base::kUniform,
        .base = models.base.get(),
        .priority = spec.options.priority};
    auto job = std::make_shared<SampleJobImpl>(std::move(spec),
                                               std::move(factor), run_queue_);
    run_queue_->Start(job, std::move(models), key, need);
    return job;
  }

  absl::StatusOr<std::shared_ptr<ScoreJob>> Submit(ScoreSpec spec) override {
    BASIN_RETURN_IF_ERROR(internal::CheckScore(spec, backend_));
    const Demand need = internal::DemandOf(spec);
    BASIN_RETURN_IF_ERROR(Reserve(need));
    internal::JobModels models = {spec.model, nullptr, nullptr};
    const WorkKind kind = spec.want == ScoreSpec::Want::kEnergy
                              ? WorkKind::kEnergy
                              : WorkKind::kEnergyAndGradient;
    const QueueKey key = {.model = models.model.get(),
                          .kind = kind,
                          .priority = spec.options.priority};
    auto job = std::make_shared<ScoreJobImpl>(std::move(spec), run_queue_);
    run_queue_->Start(job, std::move(models), key, need);
    return job;
  }

  absl::Status CheckAdmission(const SampleSpec& spec) override {
    BASIN_RETURN_IF_ERROR(internal::CheckSampleCounts(spec));
    const Demand need = internal::DemandOf(spec);
    return Decide(run_queue_->Consider(need), need);
  }

  SchedulerLoad Load() const override { return run_queue_->Load(); }

  void Drain(absl::Duration timeout) override {
    stop_.SetBy(clock_.Now() + timeout);
    run_queue_->Drain(timeout);
  }

 private:
  // `values` on the device; null if there are none.
  absl::StatusOr<DeviceMemory> Upload(const std::vector<float>& values) {
    if (values.empty()) return DeviceMemory();
    const size_t bytes = values.size() * sizeof(float);
    BASIN_ASSIGN_OR_RETURN(DeviceMemory memory, backend_.Allocate(bytes));
    backend_.CopyToDevice(memory.get(), values.data(), bytes);
    return memory;
  }

  absl::Status Reserve(const Demand& need) {
    return Decide(run_queue_->Reserve(need), need);
  }

  absl::Status Decide(const absl::StatusOr<Admission>& admission,
                      const Demand& need) {
    if (!admission.ok()) {
      observer_->OnRejected("draining");
      return admission.status();
    }
    if (admission->verdict == Admission::Verdict::kAdmit) {
      return absl::OkStatus();
    }
    observer_->OnRejected(admission->reason);
    return Refusal(*admission, need, limits_);
  }

  const Backend& backend_;
  const Clock& clock_;
  SchedulerObserver ignored_;
  SchedulerObserver* const observer_;
  const Demand limits_;
  const std::shared_ptr<RunQueue> run_queue_;  // jobs hold it too
  internal::StopTime stop_;
  std::vector<std::thread> threads_;
};

}  // namespace

std::unique_ptr<Scheduler> Scheduler::Create(const Backend& backend,
                                             const SchedulerOptions& options) {
  SchedulerOptions resolved = options;
  if (resolved.workers <= 0) {
    resolved.workers =
        std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  }
  return std::make_unique<SchedulerImpl>(backend, resolved);
}

}  // namespace basin
