// core/gpu.hpp: one CUDA card: its stream, its memory, and what goes between it and this machine.
#pragma once
#include <cuda_runtime_api.h>

#include <algorithm>
#include <array>
#include <cstring>

#include <holon/core/context.hpp>

namespace holon {

namespace gpu {

/// "13.0" of CUDA's 13000.
inline std::string cuda_version_text(int version) { return text(version / 1000, '.', version % 1000 / 10); }

/// Throws `DeviceError` with CUDA's own words.
inline void expects_cuda(cudaError_t status, const char* what) {
    if (status == cudaSuccess) return;
    throw DeviceError(text("CUDA, ", what, ": ", cudaGetErrorName(status), ", ", cudaGetErrorString(status),
                           status == cudaErrorMemoryAllocation
                               ? ""
                               : "; an earlier kernel may be to blame: CUDA_LAUNCH_BLOCKING=1 or compute-sanitizer "
                                 "finds which"));
}

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

/// Oldest architecture that kernels are compiled for: Turing.
constexpr int oldest_capability = 75;

/// The allocator of a card: a stream-ordered pool of its own. What is released is reused at once by what follows in the
/// same stream; the system is asked again only when the pool must grow.
class PoolMemory {
 public:
    PoolMemory(int device, cudaStream_t stream, std::string card) : stream_(stream), card_(std::move(card)) {
        cudaMemPoolProps props{};
        props.allocType = cudaMemAllocationTypePinned;
        props.location.type = cudaMemLocationTypeDevice;
        props.location.id = device;
        expects_cuda(cudaMemPoolCreate(&pool_, &props), "making a memory pool");
        std::uint64_t keep_all = ~std::uint64_t(0);
        expects_cuda(cudaMemPoolSetAttribute(pool_, cudaMemPoolAttrReleaseThreshold, &keep_all), "setting up the pool");
    }
    ~PoolMemory() {
        cudaStreamSynchronize(stream_);
        cudaMemPoolDestroy(pool_);
    }
    PoolMemory(const PoolMemory&) = delete;
    PoolMemory& operator=(const PoolMemory&) = delete;

    /// At least `bytes` bytes, aligned to 256. Throws `OutOfMemory` past the limit or when the card has no more.
    void* allocate(std::size_t bytes) {
        const std::lock_guard lock(mutex_);
        const std::size_t rounded = Blocks::rounded(bytes), before = use_.reserved;
        void* block = nullptr;
        if (rounded <= limit_ && use_.current <= limit_ - rounded) {
            block = take(rounded);
            if (!block) {  // gaps that the pool keeps may be in the way
                trim_unlocked();
                block = take(rounded);
            }
        }
        if (block && !holds_limit()) {
            expects_cuda(cudaFreeAsync(block, stream_), "freeing");
            block = nullptr;
            trim_unlocked();
        }
        if (!block) holon::detail::refuse_memory(bytes, use_, limit_, card_);
        use_.current += rounded;
        use_.peak = std::max(use_.peak, use_.current);
        if (use_.reserved > before) ++use_.growths;
        return block;
    }

    void release(void* block, std::size_t bytes) noexcept {
        const std::lock_guard lock(mutex_);
        cudaFreeAsync(block, stream_);
        use_.current -= Blocks::rounded(bytes);
    }

    MemoryUse use() const {
        const std::lock_guard lock(mutex_);
        return use_;
    }
    void reset_peak() {
        const std::lock_guard lock(mutex_);
        use_.peak = use_.current;
        use_.peak_reserved = use_.reserved;
    }
    void set_limit(std::size_t bytes) {
        const std::lock_guard lock(mutex_);
        limit_ = bytes;
    }
    std::size_t limit() const {
        const std::lock_guard lock(mutex_);
        return limit_;
    }
    /// Gives memory that holds nothing back to the card.
    void trim() {
        const std::lock_guard lock(mutex_);
        trim_unlocked();
    }

 private:
    /// Null where the card has no more.
    void* take(std::size_t bytes) {
        void* block = nullptr;
        const cudaError_t status = cudaMallocFromPoolAsync(&block, bytes, pool_, stream_);
        if (status != cudaErrorMemoryAllocation) {
            expects_cuda(status, "allocating");
            return block;
        }
        (void)cudaGetLastError();
        return nullptr;
    }
    /// Reads what the pool holds; false where that is more than allowed, even after gaps were given back.
    bool holds_limit() {
        read_reserved();
        if (use_.reserved > limit_) trim_unlocked();
        return use_.reserved <= limit_;
    }
    void read_reserved() {
        std::uint64_t reserved = 0;
        expects_cuda(cudaMemPoolGetAttribute(pool_, cudaMemPoolAttrReservedMemCurrent, &reserved), "asking the pool");
        use_.reserved = std::size_t(reserved);
        use_.peak_reserved = std::max(use_.peak_reserved, use_.reserved);
    }
    void trim_unlocked() {
        expects_cuda(cudaStreamSynchronize(stream_), "waiting for the card");
        expects_cuda(cudaMemPoolTrimTo(pool_, 0), "trimming the pool");
        std::uint64_t reserved = 0;
        expects_cuda(cudaMemPoolGetAttribute(pool_, cudaMemPoolAttrReservedMemCurrent, &reserved), "asking the pool");
        use_.reserved = std::size_t(reserved);
    }

    mutable std::mutex mutex_;
    cudaStream_t stream_;
    std::string card_;
    cudaMemPool_t pool_ = nullptr;
    MemoryUse use_;
    std::size_t limit_ = no_limit;
};

/// Measures what a stream does between two calls, on the card's own clock.
class Stopwatch {
 public:
    explicit Stopwatch(cudaStream_t stream) : stream_(stream) {
        expects_cuda(cudaEventCreate(&begin_), "making an event");
        expects_cuda(cudaEventCreate(&end_), "making an event");
    }
    ~Stopwatch() {
        cudaEventDestroy(begin_);
        cudaEventDestroy(end_);
    }
    Stopwatch(const Stopwatch&) = delete;
    Stopwatch& operator=(const Stopwatch&) = delete;

    void start() { expects_cuda(cudaEventRecord(begin_, stream_), "recording an event"); }
    /// Seconds since `start`; waits for the stream.
    double stop() {
        expects_cuda(cudaEventRecord(end_, stream_), "recording an event");
        expects_cuda(cudaEventSynchronize(end_), "waiting for the card");
        float milliseconds = 0;
        expects_cuda(cudaEventElapsedTime(&milliseconds, begin_, end_), "reading the clock");
        return double(milliseconds) * 1e-3;
    }

 private:
    cudaStream_t stream_;
    cudaEvent_t begin_ = nullptr, end_ = nullptr;
};

/// Two pinned buffers through which bytes go to and from a card: while one is on its way, the other is filled.
class Staging {
 public:
    static constexpr std::size_t buffer_bytes = std::size_t(4) << 20;

    explicit Staging(cudaStream_t stream) : stream_(stream) {}
    ~Staging() {
        for (Buffer& b : buffers_) {
            if (!b.bytes) continue;
            cudaEventSynchronize(b.sent);
            cudaEventDestroy(b.sent);
            cudaFreeHost(b.bytes);
        }
    }
    Staging(const Staging&) = delete;
    Staging& operator=(const Staging&) = delete;

    /// Returns as soon as `from` may be written again.
    void upload(void* to, const void* from, std::size_t bytes) {
        for (std::size_t at = 0; at < bytes; at += buffer_bytes) {
            const std::size_t part = std::min(buffer_bytes, bytes - at);
            Buffer& b = next();
            std::memcpy(b.bytes, static_cast<const char*>(from) + at, part);
            expects_cuda(cudaMemcpyAsync(static_cast<char*>(to) + at, b.bytes, part, cudaMemcpyHostToDevice, stream_),
                         "copying to the card");
            expects_cuda(cudaEventRecord(b.sent, stream_), "recording an event");
        }
    }
    /// Returns when the bytes have arrived, and with them everything that was asked of the card before.
    void download(void* to, const void* from, std::size_t bytes) {
        // One part behind: while a part is on its way, the one before it is copied out.
        Buffer* before = nullptr;
        std::size_t before_at = 0, before_part = 0;
        const auto arrive = [&] {
            if (!before) return;
            expects_cuda(cudaEventSynchronize(before->sent), "copying from the card");
            std::memcpy(static_cast<char*>(to) + before_at, before->bytes, before_part);
        };
        for (std::size_t at = 0; at < bytes; at += buffer_bytes) {
            const std::size_t part = std::min(buffer_bytes, bytes - at);
            Buffer& b = next();
            expects_cuda(
                cudaMemcpyAsync(b.bytes, static_cast<const char*>(from) + at, part, cudaMemcpyDeviceToHost, stream_),
                "copying from the card");
            expects_cuda(cudaEventRecord(b.sent, stream_), "recording an event");
            arrive();
            before = &b, before_at = at, before_part = part;
        }
        arrive();
    }

 private:
    struct Buffer {
        void* bytes = nullptr;
        cudaEvent_t sent = nullptr;
    };
    /// The buffer that was used longest ago, free to be filled.
    Buffer& next() {
        Buffer& b = buffers_[turn_];
        turn_ = 1 - turn_;
        if (b.bytes) {
            expects_cuda(cudaEventSynchronize(b.sent), "waiting for a transfer");
        } else {
            expects_cuda(cudaEventCreateWithFlags(&b.sent, cudaEventDisableTiming), "making an event");
            expects_cuda(cudaHostAlloc(&b.bytes, buffer_bytes, cudaHostAllocDefault), "pinning host memory");
        }
        return b;
    }
    cudaStream_t stream_;
    std::array<Buffer, 2> buffers_;
    std::size_t turn_ = 0;
};

}  // namespace gpu

/// One card and one stream, in which everything happens in the order of the calls. Calls return before the card is
/// done; only `download` and `wait` stop for it. A context belongs to the thread that made it and those that call
/// `cudaSetDevice` for its card.
template <> class Context<Gpu> {
 public:
    Context() : Context(gpu::chosen_device()) {}
    explicit Context(int number)
        : card_(open(number)), memory_(number, stream_.raw, card_.name), staging_(stream_.raw) {}
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
    void upload(void* to, const void* from, std::size_t bytes) { staging_.upload(to, from, bytes); }
    void download(void* to, const void* from, std::size_t bytes) { staging_.download(to, from, bytes); }
    /// Until everything asked so far is done.
    void wait() { gpu::expects_cuda(cudaStreamSynchronize(stream()), "waiting for the card"); }

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

    // In this order: the card is opened first, and what the backend keeps is freed first.
    Card card_;
    Stream stream_;
    gpu::PoolMemory memory_;
    gpu::Staging staging_;
    BackendStates states_;
};

}  // namespace holon
