// core/gpu_transfer.hpp: what goes between this machine and a card, and how long the card took.
#pragma once
#include <array>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include <holon/core/gpu_memory.hpp>

namespace holon::gpu {

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

/// Pinned buffers through which bytes go to and from a card. Small transfers share a buffer, so that a handful of them
/// waits for nothing. To the card there are as many as are on their way at once, up to `most_up`, so that a batch of
/// images is taken while the card still works on the one before; from it two: while one is on its way, the other is
/// emptied.
class Staging {
 public:
    static constexpr std::size_t buffer_bytes = std::size_t(4) << 20;
    static constexpr std::size_t most_up = 64;

    explicit Staging(cudaStream_t stream) : stream_(stream) {}
    ~Staging() { cudaStreamSynchronize(stream_); }  // nothing may still be on its way
    Staging(const Staging&) = delete;
    Staging& operator=(const Staging&) = delete;

    /// Returns as soon as `from` may be written again.
    void upload(void* to, const void* from, std::size_t bytes) {
        if (up_.empty()) up_.push_back(std::make_unique<Buffer>());
        for (std::size_t at = 0; at < bytes;) {
            if (up_[turn_up_]->used == buffer_bytes) {
                up_[turn_up_]->record(stream_);
                next_up();
            }
            Buffer& b = *up_[turn_up_];
            const std::size_t part = std::min(buffer_bytes - b.used, bytes - at);
            char* const here = b.take(part);
            std::memcpy(here, static_cast<const char*>(from) + at, part);
            expects_cuda(cudaMemcpyAsync(static_cast<char*>(to) + at, here, part, cudaMemcpyHostToDevice, stream_),
                         "copying to the card");
            at += part;
        }
    }
    /// Returns when all the bytes have arrived, and with them everything that was asked of the card before. What fits
    /// in a buffer is waited for once.
    void download(std::span<const Download> wanted) {
        std::array<std::vector<Download>, 2> under_way;
        std::size_t turn = 0;
        const auto arrive = [&](std::size_t k) {
            if (under_way[k].empty()) return;
            down_[k].wait("copying from the card");
            for (const Download& piece : under_way[k]) std::memcpy(piece.to, piece.from, piece.bytes);
            under_way[k].clear();
            down_[k].used = 0;
        };
        down_[0].used = down_[1].used = 0;  // an error may have left some behind
        for (const Download& w : wanted)
            for (std::size_t at = 0; at < w.bytes;) {
                if (down_[turn].used == buffer_bytes) {
                    down_[turn].record(stream_);
                    turn = 1 - turn;
                    arrive(turn);
                }
                const std::size_t part = std::min(buffer_bytes - down_[turn].used, w.bytes - at);
                char* const here = down_[turn].take(part);
                expects_cuda(
                    cudaMemcpyAsync(here, static_cast<const char*>(w.from) + at, part, cudaMemcpyDeviceToHost, stream_),
                    "copying from the card");
                under_way[turn].push_back({static_cast<char*>(w.to) + at, here, part});
                at += part;
            }
        if (!under_way[turn].empty()) down_[turn].record(stream_);
        arrive(1 - turn);
        arrive(turn);
    }

 private:
    struct Buffer {
        char* bytes = nullptr;
        std::size_t used = 0;
        cudaEvent_t sent = nullptr;

        Buffer() = default;
        Buffer(const Buffer&) = delete;
        Buffer& operator=(const Buffer&) = delete;
        ~Buffer() {
            if (sent) cudaEventDestroy(sent);
            if (bytes) cudaFreeHost(bytes);
        }
        /// The next `part` bytes, which must be there. What follows begins on a cache line.
        char* take(std::size_t part) {
            if (!bytes) {
                void* at = nullptr;
                expects_cuda(cudaHostAlloc(&at, buffer_bytes, cudaHostAllocDefault), "pinning host memory");
                bytes = static_cast<char*>(at);
            }
            char* const here = bytes + used;
            used = std::min(buffer_bytes, (used + part + 63) / 64 * 64);
            return here;
        }
        void record(cudaStream_t stream) {
            if (!sent) expects_cuda(cudaEventCreateWithFlags(&sent, cudaEventDisableTiming), "making an event");
            expects_cuda(cudaEventRecord(sent, stream), "recording an event");
        }
        bool arrived() const { return sent && cudaEventQuery(sent) == cudaSuccess; }
        void wait(const char* what) {
            if (sent) expects_cuda(cudaEventSynchronize(sent), what);
        }
    };
    /// Goes on to the buffer that has been on its way for longest, or, if it has not arrived, to a new one before it.
    void next_up() {
        const std::size_t next = (turn_up_ + 1) % up_.size();
        if (!up_[next]->arrived() && up_.size() < most_up) {
            turn_up_ = turn_up_ + 1;
            up_.insert(up_.begin() + std::ptrdiff_t(turn_up_), std::make_unique<Buffer>());
            return;
        }
        turn_up_ = next;
        up_[turn_up_]->wait("waiting for a transfer");
        up_[turn_up_]->used = 0;
    }

    cudaStream_t stream_;
    std::vector<std::unique_ptr<Buffer>> up_;  // in the order in which they were sent, from the one after `turn_up_`
    std::array<Buffer, 2> down_;
    std::size_t turn_up_ = 0;
};

/// Uploads that do not wait for the kernels before them: the bytes go into memory of their own on a second stream,
/// `uploads`. The kernels' stream waits for them and copies them from there to their place, so that it sees them in the
/// order of the calls. They are not sent straight to their place, because kernels may still read what it holds. Two
/// places in turn would need no copy on the card, but `CapturedStep` would record the step once for each; the copy takes
/// a few hundredths of the time of the upload.
class UploadBuffer {
 public:
    UploadBuffer(cudaStream_t stream, PoolMemory& memory, cudaStream_t uploads, Staging& staging)
        : stream_(stream), memory_(memory), uploads_(uploads), staging_(staging) {
        expects_cuda(cudaEventCreateWithFlags(&landed_, cudaEventDisableTiming), "making an event");
        const cudaError_t made = cudaEventCreateWithFlags(&free_, cudaEventDisableTiming);
        if (made != cudaSuccess) cudaEventDestroy(landed_);
        expects_cuda(made, "making an event");
    }
    ~UploadBuffer() {
        release();
        cudaEventDestroy(landed_);
        cudaEventDestroy(free_);
    }
    UploadBuffer(const UploadBuffer&) = delete;
    UploadBuffer& operator=(const UploadBuffer&) = delete;

    /// Returns as soon as `from` may be written again. The memory is as large as the most bytes so far, and kept.
    void upload(void* to, const void* from, std::size_t bytes) {
        if (bytes == 0) return;
        if (bytes > room_) take(bytes);
        expects_cuda(cudaStreamWaitEvent(uploads_, free_, 0), "making the copies to the card wait for the ones before");
        staging_.upload(at_, from, bytes);
        expects_cuda(cudaEventRecord(landed_, uploads_), "recording an event");
        expects_cuda(cudaStreamWaitEvent(stream_, landed_, 0), "making the card wait for a copy to it");
        expects_cuda(cudaMemcpyAsync(to, at_, bytes, cudaMemcpyDeviceToDevice, stream_), "copying on the card");
        expects_cuda(cudaEventRecord(free_, stream_), "recording an event");
    }

 private:
    /// The pool gives memory in the order of `stream_`, where it may still be in use until the event.
    void take(std::size_t bytes) {
        release();
        at_ = memory_.allocate(bytes);
        room_ = bytes;
        expects_cuda(cudaEventRecord(free_, stream_), "recording an event");
    }
    /// Waits until nothing is on its way here: the pool does not know of `uploads_`.
    void release() noexcept {
        if (!at_) return;
        cudaStreamSynchronize(uploads_);
        memory_.release(std::exchange(at_, nullptr), std::exchange(room_, 0));
    }

    cudaStream_t stream_;
    PoolMemory& memory_;
    cudaStream_t uploads_;
    Staging& staging_;
    cudaEvent_t landed_ = nullptr;  // in `uploads_`: the bytes are here
    cudaEvent_t free_ = nullptr;    // in `stream_`: the memory may be written
    void* at_ = nullptr;
    std::size_t room_ = 0;
};

/// Bytes that are on their way from a card to this machine while both work: `start` puts the copies on the stream,
/// `finish` waits for them. Pinned memory is kept from one use to the next.
class Arrival {
 public:
    explicit Arrival(cudaStream_t stream) : stream_(stream) {}
    ~Arrival() {
        if (sent_) cudaEventSynchronize(sent_), cudaEventDestroy(sent_);
        if (bytes_) cudaFreeHost(bytes_);
    }
    Arrival(const Arrival&) = delete;
    Arrival& operator=(const Arrival&) = delete;

    void start(std::span<const Download> wanted) {
        std::size_t size = 0;
        for (const Download& w : wanted) size += w.bytes;
        if (size > room_) {
            if (bytes_) cudaFreeHost(std::exchange(bytes_, nullptr));
            room_ = 0;
            void* at = nullptr;
            expects_cuda(cudaHostAlloc(&at, size, cudaHostAllocDefault), "pinning host memory");
            bytes_ = static_cast<char*>(at);
            room_ = size;
        }
        if (!sent_) expects_cuda(cudaEventCreateWithFlags(&sent_, cudaEventDisableTiming), "making an event");
        under_way_.assign(wanted.begin(), wanted.end());
        std::size_t at = 0;
        for (Download& w : under_way_) {
            if (w.bytes == 0) continue;
            expects_cuda(cudaMemcpyAsync(bytes_ + at, w.from, w.bytes, cudaMemcpyDeviceToHost, stream_),
                         "copying from the card");
            w.from = bytes_ + at;
            at += w.bytes;
        }
        expects_cuda(cudaEventRecord(sent_, stream_), "recording an event");
    }
    /// Until the bytes have arrived where `start` was told; everything that was asked of the card before it is done then.
    void finish() {
        if (under_way_.empty()) return;
        expects_cuda(cudaEventSynchronize(sent_), "copying from the card");
        for (const Download& w : under_way_)
            if (w.bytes) std::memcpy(w.to, w.from, w.bytes);
        under_way_.clear();
    }

 private:
    cudaStream_t stream_;
    cudaEvent_t sent_ = nullptr;
    char* bytes_ = nullptr;
    std::size_t room_ = 0;
    std::vector<Download> under_way_;
};

}  // namespace holon::gpu
