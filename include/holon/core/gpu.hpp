// core/gpu.hpp: one CUDA card: its stream, its memory, what goes between it and this machine, and steps recorded on it.
#pragma once
#include <nvtx3/nvToolsExt.h>

#include <holon/core/context.hpp>
#include <holon/core/recording.hpp>
#include <holon/core/scope.hpp>

namespace holon {

namespace gpu {

/// "13.0" of CUDA's 13000.
inline std::string cuda_version_text(int version) { return text(version / 1000, '.', version % 1000 / 10); }

/// Number of usable cards. Throws `DeviceError` where there is none, saying why: no card, no driver, or a driver too
/// old for the runtime this was built with.
inline int count_devices() {
    int driver = 0, count = 0;
    cudaDriverGetVersion(&driver);
    const cudaError_t status = cudaGetDeviceCount(&count);
    if (status == cudaSuccess && count > 0) return count;
    (void)cudaGetLastError();
    const std::string built = cuda_version_text(CUDART_VERSION);
    if (driver == 0) throw DeviceError(text("no GPU: there is no NVIDIA driver here (built with CUDA ", built, ")"));
    if (status == cudaErrorInsufficientDriver)
        throw DeviceError(text("no GPU: the driver is for CUDA ", cuda_version_text(driver),
                               ", this was built with CUDA ", built, "; update the driver"));
    if (status == cudaSuccess || status == cudaErrorNoDevice)
        throw DeviceError(text("no GPU: the driver (CUDA ", cuda_version_text(driver),
                               ") shows no card; is CUDA_VISIBLE_DEVICES set?"));
    throw DeviceError(text("no GPU: ", cudaGetErrorName(status), ", ", cudaGetErrorString(status), " (driver for CUDA ",
                           cuda_version_text(driver), ", built with CUDA ", built, ")"));
}

/// The card that contexts without a number of their own are made for; see `choose_device`.
inline int& chosen_device() {
    static int number = 0;
    return number;
}

/// Makes card `number` the one of `default_context<Gpu>()`. Before anything is put on a card; throws `DeviceError`
/// where there is no such card.
inline void choose_device(int number) {
    const int count = count_devices();
    if (number < 0 || number >= count)
        throw DeviceError(text("gpu:", number, ": there ", count == 1 ? "is" : "are", " only ", count, " GPU",
                               count == 1 ? "" : "s", ", counted from 0"));
    chosen_device() = number;
}

/// Scopes as ranges on the time line of NVIDIA's profilers.
inline constexpr Scope::Listener profiler_ranges{[](const char* name) { nvtxRangePushA(name); },
                                                 [] { nvtxRangePop(); }};

/// Oldest architecture that kernels are compiled for: Turing.
constexpr int oldest_capability = 75;

}  // namespace gpu

/// One card and one stream, in which everything happens in the order of the calls; what a second one uploads meanwhile
/// comes into that order by a `gpu::UploadBuffer`. Calls return before the card is done; only `download` and `wait` stop for
/// it. A context belongs to the thread that made it and those that call `cudaSetDevice` for its card.
template <> class Context<Gpu> {
 public:
    Context() : Context(gpu::chosen_device()) {}
    explicit Context(int number)
        : card_(open(number)), memory_(number, stream_.raw, card_.name), staging_(stream_.raw) {
        Scope::listen(gpu::profiler_ranges);
    }
    Context(const Context&) = delete;
    Context& operator=(const Context&) = delete;

    struct Card {
        std::string name;
        int number = 0, multiprocessors = 1;
        int capability = 0;  ///< 89 is 8.9
        std::size_t memory = 0;
    };
    const Card& card() const { return card_; }
    cudaStream_t stream() const { return stream_.raw; }
    gpu::PoolMemory& memory() { return memory_; }
    template <class State> State& state() { return states_.template state<State>(*this); }

    void copy(void* to, const void* from, std::size_t bytes) {
        if (bytes)
            gpu::expects_cuda(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream()),
                              "copying on the card");
    }
    void clear(void* to, std::size_t bytes) {
        if (bytes) gpu::expects_cuda(cudaMemsetAsync(to, 0, bytes, stream()), "clearing memory");
    }
    void upload(void* to, const void* from, std::size_t bytes) {
        expects_live("bytes of this machine are sent to the card");
        staging_.upload(to, from, bytes);
    }
    void download(void* to, const void* from, std::size_t bytes) {
        const Download wanted{to, from, bytes};
        download({&wanted, 1});
    }
    /// The second stream, for uploads by a `gpu::UploadBuffer`; made on first use.
    cudaStream_t upload_stream() { return uploads().stream.raw; }
    /// Uploads that do not wait for kernels. The context must outlive it.
    std::unique_ptr<gpu::UploadBuffer> make_upload_buffer() {
        Uploads& u = uploads();
        return std::make_unique<gpu::UploadBuffer>(stream(), memory_, u.stream.raw, u.staging);
    }
    /// Several at once, with one wait.
    void download(std::span<const Download> wanted) {
        expects_live("bytes of the card are asked for");
        staging_.download(wanted);
    }
    /// Until everything asked so far is done.
    void wait() {
        expects_live("the card is waited for");
        gpu::expects_cuda(cudaStreamSynchronize(stream()), "waiting for the card");
    }

    /// Memory whose `bytes` bytes `fill` writes before every launch of the step that is being recorded; null where none
    /// is, and the caller sends them himself.
    void* provide(std::size_t bytes, gpu::Recording::Fill fill) {
        if (recording_) return recording_->provide(bytes, std::move(fill));
        need_.provided += gpu::Recording::provided_size(bytes);
        return nullptr;
    }
    /// The step that is being recorded; null where none is.
    gpu::Recording* recording() { return recording_; }
    /// Throws `DeviceError` while a step is recorded, in which there can be no `what`.
    void expects_live(const char* what) const {
        if (recording_)
            throw DeviceError(text("while a step is recorded ", what,
                                   ", which a launch of the recorded step would not repeat; do it before or after"));
    }

    /// Runs `step` as it is, and finds out what recording it takes.
    template <class Step> gpu::RecordingNeed rehearse(const Step& step) {
        expects_live("a step is rehearsed");
        need_ = {};
        memory_.begin_rehearsal();
        try {
            step();
        } catch (...) {
            memory_.end_rehearsal();
            throw;
        }
        need_.memory = memory_.end_rehearsal();
        return need_;
    }
    /// Runs `take` and gives back what it gives; memory that it takes is none that a recording of the step would need.
    template <class Take> auto outside_rehearsal(const Take& take) {
        struct Counting {
            gpu::PoolMemory& memory;
            bool before;
            ~Counting() { memory.count_rehearsal(before); }
        };
        const Counting counting{memory_, memory_.count_rehearsal(false)};
        return take();
    }
    /// Records `step`, which must ask for the same memory, in the same order, as when it was rehearsed. Nothing of it
    /// runs until the recording is launched. What it computes on the host it computes now, once. When it throws,
    /// nothing has happened to the card's memory; `DeviceError` where it does what cannot be recorded.
    template <class Step> std::unique_ptr<gpu::Recording> record(const gpu::RecordingNeed& need, const Step& step) {
        expects_live("another is recorded");
        auto made = std::make_unique<gpu::Recording>(stream(), memory_, staging_, need);
        recording_ = made.get();
        try {
            made->record(step);
        } catch (...) {
            recording_ = nullptr;
            throw;
        }
        recording_ = nullptr;
        return made;
    }

 private:
    static Card open(int number) {
        const int count = gpu::count_devices();
        if (number < 0 || number >= count)
            throw DeviceError(text("gpu:", number, ": no such GPU; there are ", count, ", counted from 0"));
        gpu::expects_cuda(cudaSetDevice(number), "choosing the card");
        cudaDeviceProp p{};
        gpu::expects_cuda(cudaGetDeviceProperties(&p, number), "asking for the card's properties");
        const int capability = 10 * p.major + p.minor;
        if (capability < gpu::oldest_capability)
            throw DeviceError(text("gpu:", number, ", ", p.name, ", has compute capability ", p.major, '.', p.minor,
                                   "; 7.5 (Turing) or later is needed"));
        return {p.name, number, p.multiProcessorCount, capability, p.totalGlobalMem};
    }
    struct Stream {
        cudaStream_t raw = nullptr;
        Stream() { gpu::expects_cuda(cudaStreamCreateWithFlags(&raw, cudaStreamNonBlocking), "making a stream"); }
        ~Stream() { cudaStreamDestroy(raw); }
        Stream(const Stream&) = delete;
        Stream& operator=(const Stream&) = delete;
    };

    struct Uploads {
        Stream stream;
        gpu::Staging staging{stream.raw};
    };
    Uploads& uploads() {
        if (!uploads_) uploads_ = std::make_unique<Uploads>();
        return *uploads_;
    }

    // In this order: the card is opened first, and what the backend keeps is freed first.
    Card card_;
    Stream stream_;
    gpu::PoolMemory memory_;
    gpu::Staging staging_;
    std::unique_ptr<Uploads> uploads_;
    gpu::Recording* recording_ = nullptr;
    gpu::RecordingNeed need_;
    BackendStates states_;
};

}  // namespace holon
