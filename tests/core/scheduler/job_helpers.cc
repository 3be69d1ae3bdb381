#include "tests/core/scheduler/job_helpers.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include <gtest/gtest.h>

#include "core/backend/chain_tile_buffer.h"
#include "core/base/check.h"
#include "tests/testing/status_matchers.h"

namespace basin::testing {
namespace {

std::vector<float> StartValues(int64_t count) {
  std::vector<float> values(count);
  for (int64_t i = 0; i < count; ++i) {
    values[i] = static_cast<float>(std::sin(0.7 * static_cast<double>(i)));
  }
  return values;
}

template <typename T>
void Append(const std::vector<T>& values, std::string* bytes) {
  bytes->append(reinterpret_cast<const char*>(values.data()),
                values.size() * sizeof(T));
}
template <typename T>
void Append(const T& value, std::string* bytes) {
  bytes->append(reinterpret_cast<const char*>(&value), sizeof(T));
}

template <typename Job, typename Spec>
Running<Job> Submit(Scheduler& scheduler, Spec spec) {
  auto bell = std::make_shared<Bell>();
  spec.options.listener = [bell] { bell->Ring(); };
  absl::StatusOr<std::shared_ptr<Job>> job = scheduler.Submit(std::move(spec));
  EXPECT_OK(job);
  BASIN_CHECK(job.ok());
  return {*std::move(job), bell};
}

// One chain of `spec`, moved alone in a tile of one row.
class LoneChain {
 public:
  LoneChain(const SampleSpec& spec, int64_t chain)
      : spec_(spec),
        chain_(chain),
        transition_(GetTransition(spec.transition.kind)),
        backend_(spec.model->backend()),
        buffer_(backend_) {
    const int size = spec.model->tile_sizes().front();
    const int64_t n = spec.model->info().dimension;
    BASIN_CHECK(
        backend_.Reserve(workspace_, spec.model->workspace_bytes()).ok());
    function_ = spec.model->Bind(size, workspace_);
    tile_ =
        *buffer_.Shape(1, size, n, {.momentum = transition_.uses_momentum()});
    const ChainCoefficients coefficients =
        *transition_.Configure(spec.transition, spec.inverse_temperature);
    std::copy_n(spec.initial.data() + chain * n, n, tile_.position);
    *tile_.seed = spec.seed;
    *tile_.chain = chain;
    *tile_.coefficients = coefficients;
    *tile_.lower = spec.box.lower;
    *tile_.upper = spec.box.upper;
    Evaluate(transition_.carried() == Carried::kEnergyAndGradient, tile_.energy,
             tile_.grad_energy);
  }

  void Step(uint64_t done) {
    *tile_.step = done;
    BASIN_CHECK(transition_.Step(*function_, backend_.tile_ops(), tile_).ok());
  }

  void Store(Frame* frame) {
    const int64_t n = tile_.dimension;
    const bool gradients = spec_.keep == SampleSpec::Keep::kStatesAndGradients;
    const Carried carried = transition_.carried();
    std::vector<double> energy(tile_.rows + 64);
    std::vector<float> gradient(n * 64);
    Evaluate(gradients, energy.data(), gradient.data());
    frame->energies[chain_] =
        carried == Carried::kNothing ? energy[0] : *tile_.energy;
    if (spec_.keep != SampleSpec::Keep::kEnergies) {
      std::copy_n(tile_.position, n, frame->states.data() + chain_ * n);
    }
    if (gradients) {
      std::copy_n(gradient.data(), n, frame->grad_energies.data() + chain_ * n);
    }
  }

 private:
  void Evaluate(bool gradient, double* energy, float* grad_energy) {
    BASIN_CHECK((gradient ? function_->EnergyAndGradient(1, tile_.position,
                                                         energy, grad_energy)
                          : function_->Energy(1, tile_.position, energy))
                    .ok());
  }

  const SampleSpec& spec_;
  const int64_t chain_;
  const Transition& transition_;
  const Backend& backend_;
  Workspace workspace_;
  std::unique_ptr<EnergyFunction> function_;
  ChainTileBuffer buffer_;
  ChainTile tile_;
};

}  // namespace

void Bell::Ring() {
  MutexLock lock(mu_);
  ++rings_;
  rung_.SignalAll();
}

void Bell::Await(const std::function<bool()>& condition) {
  int64_t seen = 0;
  {
    MutexLock lock(mu_);
    seen = rings_;
  }
  while (!condition()) {
    MutexLock lock(mu_);
    while (rings_ == seen) rung_.Wait(mu_);
    seen = rings_;
  }
}

TransitionParams ParamsOf(TransitionKind kind) {
  TransitionParams params;
  params.kind = kind;
  params.step_size = 0.05;
  if (kind == TransitionKind::kIgebm || kind == TransitionKind::kJem) {
    params.noise_std = 0.02;
  }
  if (kind == TransitionKind::kIgebm) params.gradient_clip = 0.3;
  // Or hardly a site would move.
  if (kind == TransitionKind::kDiscreteLangevin) params.step_size = 0.5;
  return params;
}

std::vector<TransitionKind> AllKinds() {
  std::vector<TransitionKind> kinds;
  for (const Transition* transition : AllTransitions()) {
    kinds.push_back(transition->kind());
  }
  return kinds;
}

std::vector<TransitionKind> KindsFor(const EnergyModel& model) {
  std::vector<TransitionKind> kinds = AllKinds();
  std::erase_if(kinds, [&](TransitionKind kind) {
    return !CheckFits(kind, model.info()).ok();
  });
  return kinds;
}

SampleSpec MakeSample(std::shared_ptr<const EnergyModel> model,
                      TransitionKind kind, int64_t chains, int64_t steps) {
  SampleSpec spec;
  spec.transition = ParamsOf(kind);
  spec.chains = chains;
  spec.steps = steps;
  spec.seed = 1000 + static_cast<uint64_t>(chains);
  spec.initial = StartValues(chains * model->info().dimension);
  if (model->info().domain.kind == DomainKind::kBinary) {
    for (float& value : spec.initial) value = value > 0 ? 1 : 0;
  }
  if (kind == TransitionKind::kDelayedAcceptance) spec.surrogate = model;
  spec.model = std::move(model);
  return spec;
}

ScoreSpec MakeScore(std::shared_ptr<const EnergyModel> model, int64_t rows) {
  ScoreSpec spec;
  spec.rows = rows;
  spec.inputs = StartValues(rows * model->info().dimension);
  spec.model = std::move(model);
  return spec;
}

Running<SampleJob> Start(Scheduler& scheduler, SampleSpec spec) {
  return Submit<SampleJob>(scheduler, std::move(spec));
}

Running<ScoreJob> Start(Scheduler& scheduler, ScoreSpec spec) {
  return Submit<ScoreJob>(scheduler, std::move(spec));
}

std::vector<Frame> TakeFrames(SampleJob& job) {
  std::vector<Frame> frames;
  while (std::optional<Frame> frame = job.TakeFrame()) {
    frames.push_back(*std::move(frame));
  }
  return frames;
}

Sampled Collect(const Running<SampleJob>& running) {
  Sampled sampled;
  const auto take = [&] {
    for (Frame& frame : TakeFrames(*running.job)) {
      sampled.frames.push_back(std::move(frame));
    }
  };
  running.bell->Await([&] {
    take();
    return running.job->Done();
  });
  take();
  sampled.result = running.job->TakeResult();
  return sampled;
}

ScoreResult Collect(const Running<ScoreJob>& running) {
  running.AwaitDone();
  return running.job->TakeResult();
}

std::string BytesOf(const Sampled& sampled) {
  std::string bytes;
  for (const Frame& frame : sampled.frames) {
    Append(frame.step, &bytes);
    Append(frame.states, &bytes);
    Append(frame.energies, &bytes);
    Append(frame.grad_energies, &bytes);
  }
  const SampleResult& result = sampled.result;
  Append(result.chain_steps, &bytes);
  Append(result.acceptance, &bytes);
  Append(result.mean_energy, &bytes);
  Append(result.diverged_chains, &bytes);
  Append(result.traces.values, &bytes);
  Append(result.last_states, &bytes);
  return bytes;
}

std::vector<Frame> Expected(const SampleSpec& spec) {
  std::vector<Frame> frames;
  const int64_t values = spec.chains * spec.model->info().dimension;
  const int64_t every = spec.keep_every == 0 ? spec.steps : spec.keep_every;
  for (int64_t step = every; step <= spec.steps; step += every) {
    Frame frame;
    frame.step = step;
    frame.energies.resize(spec.chains);
    if (spec.keep != SampleSpec::Keep::kEnergies) frame.states.resize(values);
    if (spec.keep == SampleSpec::Keep::kStatesAndGradients) {
      frame.grad_energies.resize(values);
    }
    frames.push_back(std::move(frame));
  }
  for (int64_t c = 0; c < spec.chains; ++c) {
    LoneChain chain(spec, c);
    for (int64_t done = 0; done < spec.warmup + spec.steps; ++done) {
      chain.Step(done);
      const int64_t step = done + 1 - spec.warmup;
      if (step > 0 && step % every == 0) chain.Store(&frames[step / every - 1]);
    }
  }
  return frames;
}

}  // namespace basin::testing
