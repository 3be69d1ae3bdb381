#ifndef BASIN_SERVER_SAMPLE_CALL_H_
#define BASIN_SERVER_SAMPLE_CALL_H_

#include <atomic>
#include <memory>
#include <optional>
#include <string>

#include <absl/base/thread_annotations.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include "core/base/mutex.h"
#include "core/scheduler/job.h"
#include "server/draws_encoder.h"
#include "server/resume_token.h"
#include "server/runtime.h"
#include "server/sample_request.h"

#include "basin/v1/sampler.pb.h"

namespace basin {

// One Sample RPC. Everything that takes time runs on Runtime::streams; at
// most one write is outstanding, so a reader that stalls holds one message,
// and the job pauses at its own bound of pending frames. Thread-safe; keeps
// itself alive until OnDone().
class SampleCall final : public grpc::ServerWriteReactor<v1::SampleEvent>,
                         public std::enable_shared_from_this<SampleCall> {
 public:
  // `request` lives as long as the call. gRPC takes the result.
  static grpc::ServerWriteReactor<v1::SampleEvent>* Start(
      Runtime& runtime, const grpc::CallbackServerContext& context,
      const v1::SampleRequest& request);

  SampleCall(Runtime& runtime, absl::Time deadline,
             const v1::SampleRequest& request);

  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  // What Pump() does once it has let go of the lock.
  enum class Action { kNothing, kWrite, kWriteAndFinish, kFinish };

  // Finds the request's model, then goes on with Begin().
  void FindModel();
  // Submits the job and sends `accepted`.
  void Begin(Runtime::ModelOr model);
  absl::Status Submit(Runtime::ModelOr model);
  absl::Status NameDefault(absl::Status status) const;
  // The models that stand beside the request's own.
  absl::Status FindOtherModels(SampleSpec& spec) const;
  // Which models the chains of `spec`, or of the token, depend on.
  absl::StatusOr<RequestModels> ModelsOf(const SampleSpec& spec) const;
  // That a resume token, if one is asked for, will fit into the answer.
  absl::Status CheckTokenSize(const SampleSpec& spec) const;
  absl::Status FillPlan(SamplePlan& plan);
  // Whether the chains' last states go back to `buffer`, which may be null.
  void DecideWriteBack(const SamplePlan& plan, const std::string& other_law,
                       std::shared_ptr<ReplayBuffer> buffer);
  absl::Time JobDeadline(JobOptions::OnDeadline on_deadline) const;

  // Has Pump() run soon; any number of calls before it runs are one.
  void Schedule();
  // Sends what is next, if nothing is being sent.
  void Pump();
  Action Next() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void TakeFrames() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool ProgressDue() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  Action End(SampleResult result) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Perform(Action action);
  // Ends the job because nobody reads any more.
  void Abandon();

  Runtime& runtime_;
  RpcCall call_;
  const absl::Time deadline_;
  const v1::SampleRequest& received_;

  std::shared_ptr<SampleCall> self_;  // from Start() to OnDone()
  std::atomic<bool> scheduled_ = false;

  // Written before job_ is set, by FindModel() and Begin().
  ResumedRequest resumed_;            // without a request if it does not resume
  const v1::SampleRequest* request_;  // received_, or the resumed one
  TransitionParams transition_;
  uint64_t seed_ = 0;
  int64_t chains_ = 0;
  AnnealingOptions annealing_;
  std::shared_ptr<const EnergyModel> model_;
  RequestModels models_;
  std::shared_ptr<ReplayBuffer> replay_;  // to write back into; may be null
  ReplayDraw draw_;
  std::vector<std::string> replay_warnings_;

  // Belong to whoever set writing_ or finished_, until the write is done.
  v1::SampleEvent event_;
  absl::Status final_status_;

  Mutex mu_;
  std::shared_ptr<SampleJob> job_ ABSL_GUARDED_BY(mu_);
  std::optional<DrawsEncoder> encoder_ ABSL_GUARDED_BY(mu_);
  EnergyTrace trace_ ABSL_GUARDED_BY(mu_);
  bool writing_ ABSL_GUARDED_BY(mu_) = false;
  bool finished_ ABSL_GUARDED_BY(mu_) = false;
  bool abandoned_ ABSL_GUARDED_BY(mu_) = false;
  bool first_result_ ABSL_GUARDED_BY(mu_) = true;
  absl::Time write_started_ ABSL_GUARDED_BY(mu_);
  absl::Duration sending_ ABSL_GUARDED_BY(mu_);
  absl::Time last_progress_ ABSL_GUARDED_BY(mu_);
};

}  // namespace basin

#endif  // BASIN_SERVER_SAMPLE_CALL_H_
