// core/gpu_transfer.hpp: what goes between this machine and a card, and how long the card took.
#pragma once
#include <array>
#include <cstring>
#include <span>

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

/// Pinned buffers through which bytes go to and from a card, two for each way: while one is on its way, the other is
/// filled. Small transfers share a buffer, so that a handful of them waits for nothing.
class Staging {
 public:
    static constexpr std::size_t buffer_bytes = std::size_t(4) << 20;

    explicit Staging(cudaStream_t stream) : stream_(stream) {}
    ~Staging() { cudaStreamSynchronize(stream_); }  // nothing may still be on its way
    Staging(const Staging&) = delete;
    Staging& operator=(const Staging&) = delete;

    /// Returns as soon as `from` may be written again.
    void upload(void* to, const void* from, std::size_t bytes) {
        for (std::size_t at = 0; at < bytes;) {
            if (up_[turn_up_].used == buffer_bytes) {
                up_[turn_up_].record(stream_);
                turn_up_ = 1 - turn_up_;
                up_[turn_up_].wait("waiting for a transfer");
                up_[turn_up_].used = 0;
            }
            Buffer& b = up_[turn_up_];
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
        void wait(const char* what) {
            if (sent) expects_cuda(cudaEventSynchronize(sent), what);
        }
    };
    cudaStream_t stream_;
    std::array<Buffer, 2> up_, down_;
    std::size_t turn_up_ = 0;
};

}  // namespace holon::gpu
