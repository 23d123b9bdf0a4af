// op/gpu/sums.hpp: what kernels that sum over rows need besides their operands.
#pragma once
#include <holon/op/gpu/columns.hpp>
#include <holon/op/gpu/queue.hpp>

namespace holon::op::gpu_detail {

/// How many blocks of a kernel that sums have written their part, for each of its columns: zeros from one kernel to the next.
struct BlockCounters {
    static constexpr std::size_t bytes = std::size_t(gpu::most_columns) * sizeof(unsigned);
    explicit BlockCounters(Context<Gpu>& context)
        : counters(context.outside_rehearsal([&] {
              const Lasting lasting;
              return scratch<std::uint8_t>(context, std::int64_t(bytes));
          })) {
        context.clear(counters.data(), bytes);
    }
    Bytes counters;
};

/// For sums over the rows of images of shape s and elements of T: where they are asked for, and memory while they are taken.
template <Element T> struct Summing {
    Summing(Context<Gpu>& context, const char* op, const Shape& s, gpu::SumsKept kept)
        : queue(gpu_detail::queue(context)), rows(s.rows()), channels(narrow(op, s.c)) {
        constexpr std::int64_t most = gpu::most_columns * gpu::sum_lanes * gpu::pack_width<T>;
        expects(s.c <= most, op, ": image ", s, "; a GPU sums over the rows of up to ", most, " channels of this type");
        queue.blocks_done = as<unsigned>(context.state<BlockCounters>().counters);
        scratch = gpu_detail::scratch<float>(context, gpu::sums_scratch<T>(queue.multiprocessors, rows, s.c, kept));
    }
    gpu::Queue queue;
    std::int64_t rows;
    int channels;
    Tensor<float, Gpu> scratch;
};

}  // namespace holon::op::gpu_detail
