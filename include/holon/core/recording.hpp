// core/recording.hpp: a step of work that was recorded once, as a CUDA graph, and is launched again and again.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include <holon/core/gpu_transfer.hpp>

namespace holon::gpu {

/// What a rehearsal found that recording the same step takes.
struct RecordingNeed {
    std::size_t memory = 0;    ///< bytes that the step's blocks take at their most
    std::size_t provided = 0;  ///< bytes that are written anew before every launch
};

/// A recorded step: the graph, the memory that it works in, and what changes from launch to launch. Made by
/// `Context<Gpu>::record`; launching it does to the card's memory what running the step would have done.
class Recording {
 public:
    using Fill = std::function<void(void*)>;

    Recording(cudaStream_t stream, PoolMemory& memory, Staging& staging, const RecordingNeed& need)
        : stream_(stream),
          memory_(memory),
          staging_(staging),
          room_(need.provided),
          stretch_(memory.set_aside(Stretch::rounded(need.provided) + need.memory)) {
        memory_.cut_from(stretch_);
        try {  // the first of the stretch, so at its base
            provided_ = memory_.allocate(room_);
        } catch (...) {
            close();
            throw;
        }
        memory_.cut_from(nullptr);
    }
    ~Recording() { close(); }
    Recording(const Recording&) = delete;
    Recording& operator=(const Recording&) = delete;

    /// Bytes on the card that `fill` is asked for before every launch. While recording.
    void* provide(std::size_t bytes, Fill fill) {
        const std::size_t at = host_.size();
        if (at + provided_size(bytes) > room_)
            throw DeviceError("a recorded step asks for more numbers before each launch than its rehearsal did");
        host_.resize(at + provided_size(bytes));
        fills_.push_back({at, std::move(fill)});
        return static_cast<char*>(provided_) + at;
    }
    static std::size_t provided_size(std::size_t bytes) { return (bytes + 63) / 64 * 64; }

    /// Keeps something that the recorded work uses, for as long as it can be launched.
    void keep(std::shared_ptr<const void> used) { kept_.push_back(std::move(used)); }

    /// Records what `step` puts on the stream; nothing of it runs. When it throws, or CUDA refuses, nothing has
    /// happened to the card's memory.
    template <class Step> void record(const Step& step) {
        expects_cuda(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal), "recording a step");
        memory_.cut_from(stretch_);
        cudaGraph_t graph = nullptr;
        try {
            step();
        } catch (...) {
            if (cudaStreamEndCapture(stream_, &graph) == cudaSuccess) cudaGraphDestroy(graph);
            (void)cudaGetLastError();  // the refusal of what was recorded so far
            memory_.cut_from(nullptr);
            throw;
        }
        const cudaError_t ended = cudaStreamEndCapture(stream_, &graph);
        memory_.cut_from(nullptr);
        if (ended != cudaSuccess) (void)cudaGetLastError();
        expects_cuda(ended, "recording a step");
        cudaGraphGetNodes(graph, nullptr, &nodes_);
        const cudaError_t made = cudaGraphInstantiate(&executable_, graph, 0);
        cudaGraphDestroy(graph);
        expects_cuda(made, "making a recorded step ready to launch");
    }

    /// Puts the recorded work on the stream, with numbers asked for now.
    void launch() {
        for (const Provided& p : fills_) p.fill(host_.data() + p.at);
        if (!host_.empty()) staging_.upload(provided_, host_.data(), host_.size());
        expects_cuda(cudaGraphLaunch(executable_, stream_), "launching a recorded step");
    }

    /// Kernels, copies and fills that a launch runs.
    std::size_t nodes() const { return nodes_; }
    /// Bytes of the card that it holds.
    std::size_t bytes() const { return stretch_->bytes(); }

 private:
    struct Provided {
        std::size_t at;
        Fill fill;
    };

    void close() noexcept {
        if (executable_) {
            cudaStreamSynchronize(stream_);  // it may still run, and with it what it keeps
            cudaGraphExecDestroy(executable_);
        }
        memory_.cut_from(nullptr);
        if (provided_) memory_.release(provided_, room_);
        memory_.give_back(stretch_);
    }

    cudaStream_t stream_;
    PoolMemory& memory_;
    Staging& staging_;
    std::size_t room_;
    Stretch* stretch_;
    void* provided_ = nullptr;
    std::vector<char> host_;
    std::vector<Provided> fills_;
    std::vector<std::shared_ptr<const void>> kept_;
    cudaGraphExec_t executable_ = nullptr;
    std::size_t nodes_ = 0;
};

}  // namespace holon::gpu
