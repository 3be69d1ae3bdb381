#include "core/scheduler/sample_quantum.h"

#include <algorithm>
#include <cmath>

#include "core/base/status_macros.h"
#include "core/scheduler/counted_energy.h"

namespace basin::internal {

absl::Status SampleQuantum::Run(EnergyFunction& energy, TileMemory& memory,
                                Work* work,
                                SchedulerObserver::Quantum* quantum) {
  Prepare(memory, work);
  quantum->transition = transition_->name();
  CountedEnergy counted(energy);
  Gather();
  BASIN_RETURN_IF_ERROR(FirstValues(counted));
  UploadCarried();
  for (int64_t step = 0; step < steps_; ++step) {
    BASIN_RETURN_IF_ERROR(Advance(counted, step));
    BASIN_RETURN_IF_ERROR(KeepStates(counted, step));
  }
  Scatter(work);
  quantum->row_evaluations += counted.row_evaluations();
  for (const Group& group : groups_) {
    quantum->chain_steps += group.tally.chain_steps;
    quantum->proposals += group.tally.proposals;
    quantum->accepts += group.tally.accepts;
  }
  quantum->divergences +=
      work->rows - std::count(ended_at_.begin(), ended_at_.end(), kAlive);
  return absl::OkStatus();
}

void SampleQuantum::Prepare(TileMemory& memory, Work* work) {
  memory_ = &memory;
  transition_ = work->key.transition;
  dimension_ = work->model->info().dimension;
  steps_ = work->steps;
  groups_.clear();
  for (const Segment& segment : work->segments) {
    groups_.push_back({static_cast<SampleJobImpl*>(segment.job), segment.range,
                       segment.row, ChainTally{}});
  }
  ended_at_.assign(work->rows, kAlive);
}

void SampleQuantum::Gather() {
  TileMemory::Host& host = memory_->host();
  const ChainTile& tile = memory_->tile();
  for (const Group& group : groups_) {
    memory_->backend().CopyToDevice(
        tile.position + group.row * dimension_,
        group.job->RowsFrom(group.range.begin).states,
        group.range.rows() * dimension_ * sizeof(float));
    const ChainCoefficients& coefficients = group.job->coefficients();
    for (int row = group.row; row < group.last_row(); ++row) {
      host.seed[row] = group.job->seed();
      host.chain[row] = group.range.begin + (row - group.row);
      host.step[row] = group.range.done;
      host.drift[row] = coefficients.drift;
      host.noise[row] = coefficients.noise;
      host.clip[row] = coefficients.clip;
      host.beta[row] = coefficients.beta;
      host.lower[row] = group.job->box().lower;
      host.upper[row] = group.job->box().upper;
    }
  }
  memory_->UploadRows(tile.seed, host.seed);
  memory_->UploadRows(tile.chain, host.chain);
  memory_->UploadRows(tile.step, host.step);
  memory_->UploadRows(tile.drift, host.drift);
  memory_->UploadRows(tile.noise, host.noise);
  memory_->UploadRows(tile.clip, host.clip);
  memory_->UploadRows(tile.beta, host.beta);
  memory_->UploadRows(tile.lower, host.lower);
  memory_->UploadRows(tile.upper, host.upper);
}

absl::Status SampleQuantum::FirstValues(EnergyFunction& energy) {
  const auto is_new = [](const Group& group) { return group.range.done == 0; };
  if (!carries_values() ||
      std::none_of(groups_.begin(), groups_.end(), is_new)) {
    return absl::OkStatus();
  }
  // Of all rows: those that are not new get their carried values back after.
  const ChainTile& tile = memory_->tile();
  if (transition_->carried() == Carried::kEnergy) {
    BASIN_RETURN_IF_ERROR(energy.Energy(tile.rows, tile.position, tile.energy));
  } else {
    BASIN_RETURN_IF_ERROR(energy.DecidingEnergyAndGradient(
        tile.rows, tile.position, tile.energy, tile.grad_energy));
  }
  const auto end_new_ones = [&] {
    for (const Group& group : groups_) {
      if (is_new(group)) EndIfNotFinite(group, 0);
    }
  };
  FindFinite(tile.position, tile.energy);
  end_new_ones();
  if (transition_->carried() == Carried::kEnergyAndGradient) {
    // Or MALA would propose nothing possible, and stand still for ever.
    FindFinite(tile.grad_energy, nullptr);
    end_new_ones();
  }
  return absl::OkStatus();
}

void SampleQuantum::UploadCarried() {
  if (!carries_values()) return;
  const Backend& backend = memory_->backend();
  const ChainTile& tile = memory_->tile();
  for (const Group& group : groups_) {
    if (group.range.done == 0) continue;
    const FrameRing::Rows rows = group.job->RowsFrom(group.range.begin);
    const size_t chains = group.range.rows();
    backend.CopyToDevice(tile.energy + group.row, rows.energies,
                         chains * sizeof(double));
    if (rows.grad_energies == nullptr) continue;
    backend.CopyToDevice(tile.grad_energy + group.row * dimension_,
                         rows.grad_energies,
                         chains * dimension_ * sizeof(float));
  }
}

absl::Status SampleQuantum::Advance(EnergyFunction& energy, int64_t step) {
  ChainTile& tile = memory_->tile();
  BASIN_RETURN_IF_ERROR(
      transition_->Step(energy, memory_->backend().tile_ops(), tile));
  std::vector<uint64_t>& steps = memory_->host().step;
  for (uint64_t& done : steps) ++done;
  memory_->UploadRows(tile.step, steps);
  const bool proposes = transition_->has_acceptance();
  if (proposes) DownloadFlags(tile.accepted);
  for (Group& group : groups_) {
    const int64_t done = group.range.done + step + 1;
    for (int row = group.row; row < group.last_row(); ++row) {
      if (ended_at_[row] == kAlive) ++group.tally.chain_steps;
    }
    if (proposes) CountProposals(group, done);
  }
  FindFinite(tile.position, carries_values() ? tile.energy : nullptr);
  for (const Group& group : groups_) {
    EndIfNotFinite(group, group.range.done + step + 1);
  }
  return absl::OkStatus();
}

void SampleQuantum::CountProposals(Group& group, int64_t done) {
  const std::vector<uint8_t>& accepted = memory_->host().flags;
  const bool counts = done > group.job->warmup();
  for (int row = group.row; row < group.last_row(); ++row) {
    if (ended_at_[row] != kAlive) continue;
    ++group.tally.proposals;
    group.tally.accepts += accepted[row];
    if (!counts) continue;
    ++group.tally.kept_proposals;
    group.tally.kept_accepts += accepted[row];
  }
}

void SampleQuantum::DownloadFlags(const uint8_t* from) {
  memory_->backend().CopyToHost(memory_->host().flags.data(), from,
                                memory_->tile().rows);
}

void SampleQuantum::FindFinite(const float* x, const double* energies) {
  memory_->backend().tile_ops().FindFinite(memory_->tile(), x, energies,
                                           memory_->finite());
  DownloadFlags(memory_->finite());
}

void SampleQuantum::EndIfNotFinite(const Group& group, int64_t done) {
  const std::vector<uint8_t>& finite = memory_->host().flags;
  for (int row = group.row; row < group.last_row(); ++row) {
    if (finite[row] == 0 && ended_at_[row] == kAlive) ended_at_[row] = done;
  }
}

bool SampleQuantum::IsDue(const Group& group, int64_t step) const {
  const int64_t done = group.range.done + step + 1;
  return group.job->FrameAt(done) >= 0 ||
         (!carries_values() && done == group.job->steps_per_row());
}

absl::Status SampleQuantum::KeepStates(EnergyFunction& energy, int64_t step) {
  // Apart, because a model's energies may differ in their last bits with and
  // without gradient: a job's must not depend on what its neighbours want.
  for (const bool gradients : {false, true}) {
    const auto is_due = [&](const Group& group) {
      return group.job->wants_gradients() == gradients && IsDue(group, step);
    };
    if (std::none_of(groups_.begin(), groups_.end(), is_due)) continue;
    Values values;
    BASIN_RETURN_IF_ERROR(Evaluate(energy, gradients, &values));
    for (Group& group : groups_) {
      if (is_due(group)) Store(group, group.range.done + step + 1, values);
    }
  }
  return absl::OkStatus();
}

absl::Status SampleQuantum::Evaluate(EnergyFunction& energy, bool gradients,
                                     Values* values) {
  const ChainTile& tile = memory_->tile();
  const Carried carried = transition_->carried();
  *values = {tile.energy, tile.grad_energy};
  if (carried == Carried::kEnergyAndGradient ||
      (carried == Carried::kEnergy && !gradients)) {
    return absl::OkStatus();
  }
  // Into the transition's scratch: what other chains carry stays as it is.
  if (gradients) {
    values->grad_energies = tile.proposal_grad_energy;
    BASIN_RETURN_IF_ERROR(energy.DecidingEnergyAndGradient(
        tile.rows, tile.position, tile.proposal_energy,
        tile.proposal_grad_energy));
  } else {
    BASIN_RETURN_IF_ERROR(
        energy.Energy(tile.rows, tile.position, tile.proposal_energy));
  }
  if (carried == Carried::kNothing) {
    values->energies = tile.proposal_energy;
    FindFinite(tile.position, values->energies);
  }
  return absl::OkStatus();
}

void SampleQuantum::Store(Group& group, int64_t done, const Values& values) {
  if (!carries_values()) EndIfNotFinite(group, done);
  const Backend& backend = memory_->backend();
  TileMemory::Host& host = memory_->host();
  const int64_t at = group.row * dimension_;
  const size_t chains = group.range.rows();
  const size_t state_bytes = chains * dimension_ * sizeof(float);
  backend.CopyToHost(host.energies.data() + group.row,
                     values.energies + group.row, chains * sizeof(double));
  const int64_t frame = group.job->FrameAt(done);
  if (frame >= 0) {
    backend.CopyToHost(host.states.data() + at, memory_->tile().position + at,
                       state_bytes);
    if (group.job->wants_gradients()) {
      backend.CopyToHost(host.grad_energies.data() + at,
                         values.grad_energies + at, state_bytes);
    }
  }
  for (int row = group.row; row < group.last_row(); ++row) {
    if (ended_at_[row] != kAlive) continue;
    const int64_t chain = group.range.begin + (row - group.row);
    const double energy = host.energies[row];
    if (frame >= 0) {
      group.job->Keep(frame, chain, energy,
                      host.states.data() + row * dimension_,
                      host.grad_energies.data() + row * dimension_);
    }
    if (!carries_values()) {
      group.job->SetEnergy(chain, energy, &group.tally);
    }
  }
}

void SampleQuantum::Scatter(Work* work) {
  for (Group& group : groups_) {
    ScatterGroup(group, work);
    Report(group, work);
  }
}

void SampleQuantum::ScatterGroup(Group& group, Work* work) {
  const Backend& backend = memory_->backend();
  const ChainTile& tile = memory_->tile();
  const FrameRing::Rows to = group.job->RowsFrom(group.range.begin);
  const int64_t at = group.row * dimension_;
  const size_t chains = group.range.rows();
  const size_t state_bytes = chains * dimension_ * sizeof(float);
  backend.CopyToHost(to.states, tile.position + at, state_bytes);
  if (to.grad_energies != nullptr) {
    backend.CopyToHost(to.grad_energies, tile.grad_energy + at, state_bytes);
  }
  std::vector<double>& energies = memory_->host().energies;
  if (carries_values()) {
    backend.CopyToHost(energies.data() + group.row, tile.energy + group.row,
                       chains * sizeof(double));
  }
  const int64_t done = group.range.done + steps_;
  RowRange run = {group.range.entry, group.range.begin, group.range.begin,
                  done};
  const auto end_run = [&] {
    if (run.rows() > 0 && done < group.job->steps_per_row()) {
      work->remaining.push_back(run);
    }
    run.begin = run.end + 1;
  };
  for (int row = group.row; row < group.last_row(); ++row) {
    const int64_t chain = group.range.begin + (row - group.row);
    run.end = chain;
    if (ended_at_[row] != kAlive) {
      group.job->Invalidate(chain, &group.tally);
      end_run();
    } else if (carries_values()) {
      group.job->SetEnergy(chain, energies[row], &group.tally);
    }
  }
  run.end = group.range.end;
  end_run();
}

void SampleQuantum::Report(Group& group, Work* work) {
  const int64_t from = group.range.done;
  int64_t alive = 0;
  for (int row = group.row; row < group.last_row(); ++row) {
    const int64_t ended = ended_at_[row];
    if (ended == kAlive) {
      ++alive;
      continue;
    }
    // The state after `ended` transitions was the first that was not finite.
    group.job->PostDivergence(group.range.begin + (row - group.row), from,
                              std::max<int64_t>(0, ended - 1));
  }
  if (alive > 0) group.job->PostFrames(alive, from, from + work->steps);
  group.job->PostTally(group.tally);
}

}  // namespace basin::internal
