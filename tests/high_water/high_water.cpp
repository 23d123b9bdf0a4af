// What Plan foretells of a step on the CPU, what the allocator counts and what the system saw (VmHWM): 2 sizes, or 2
// larger ones (`high_water large`), under 3 policies, each run in a process of its own, since a process has one
// high-water mark. The high-water mark is that of the arenas' pages, gaps between blocks included, so it is compared with
// what plan and allocator say with gaps; the bytes in live blocks are compared with each other.
#include <holon/model/step_plan.hpp>
#include <holon/model/whole_image.hpp>
#include <holon/op/plan/on_cpu.hpp>

#include <array>
#include <cstdio>
#include <iostream>
#include <sstream>

#include "pipeline/process_memory.hpp"

namespace {

using namespace holon;

struct Case {
    std::string network, precision;
    Shape image;
    Recompute policy;
};

constexpr double bound = 0.05;
constexpr double mib = 1 << 20;

template <Element T, Device D> WholeImage<T, D> network(const Case& c) {
    return to_whole_image(PatchClassifier<T, D>(c.network, 1, 0.0, 1), parse_top("256x1,128x1"), 2, 1);
}

/// Bytes that a walk on `Plan`, with oneDNN's choices, holds at most, without and with gaps.
template <Element T> std::array<std::size_t, 2> foretold(const Case& c) {
    op::plan::choose_on_cpu(default_context<Plan>().state<op::plan::Ledger>(), default_context<Cpu>());
    const StepPlan plan = walk_step([&] { return network<T, Plan>(c); }, c.image, {.recompute = c.policy});
    return {plan.peak, plan.reserved};
}

template <Element T> void train(const Case& c) {
    auto net = network<T, Cpu>(c);
    auto adam = make_adam(net, {});
    const std::vector<int> labels(std::size_t(c.image.n), 1);
    const Recomputing recomputing(c.policy);
    for (int step = 0; step < 2; ++step) {  // the second has Adam's moments from the start
        const Variable<T, Cpu> x(full<T, Cpu>(c.image, T(0.5f)));
        cross_entropy(net(x, Mode::train), std::span<const int>(labels)).backward();
        adam.step(net);
        clear_gradients(net);
    }
}

/// The same step run here: what the allocator counted, with gaps, and by how much the process's high-water mark rose
/// over what it held after a tiny step: the code of oneDNN, threads and their stacks are there by then.
template <Element T> std::array<std::size_t, 3> run(const Case& c) {
    auto& memory = default_context<Cpu>().memory();
    train<T>({"resnet14", c.precision, {1, 128, 128, 3}, c.policy});
    memory.trim();
    memory.reset_peak();
    const std::size_t before = pipeline::process_status("VmRSS");
    train<T>(c);
    return {memory.use().peak, memory.use().peak_reserved, pipeline::process_status("VmHWM") - before};
}

/// One case in this process; prints what the other one reads.
template <Element T> int one(const std::string& what, const Case& c) {
    if (what == "plan") {
        for (const std::size_t bytes : foretold<T>(c)) std::cout << bytes << ' ';
    } else {
        for (const std::size_t bytes : run<T>(c)) std::cout << bytes << ' ';
    }
    std::cout << '\n';
    return 0;
}

/// The numbers that this program prints when called with these arguments in a process of its own.
std::vector<double> in_a_process(const std::string& self, const std::string& arguments) {
    FILE* const pipe = popen(("'" + self + "' " + arguments).c_str(), "r");
    expects<DeviceError>(pipe != nullptr, "cannot start ", self);
    std::string out;
    for (char part[256]; std::fgets(part, sizeof part, pipe);) out += part;
    expects<DeviceError>(pclose(pipe) == 0, self, " ", arguments, " failed");
    std::istringstream in(out);
    std::vector<double> numbers;
    for (double number; in >> number;) numbers.push_back(number);
    return numbers;
}

int all(const std::string& self, bool large) {
    using Sizes = std::vector<std::pair<const char*, Shape>>;
    const Sizes sizes = large ? Sizes{{"fp32", {1, 1152, 896, 3}}, {"bf16", {2, 1152, 896, 3}}}
                              : Sizes{{"fp32", {2, 640, 512, 3}}, {"bf16", {4, 512, 608, 3}}};
    int worse = 0;
    std::printf(
        "MiB                           live blocks         with gaps           growth\n"
        "                              planned  counted    planned  counted   of VmHWM\n");
    for (const auto& [precision, s] : sizes)
        for (const Recompute policy : {Recompute::nothing, Recompute::expansion, Recompute::block}) {
            const std::string name(recompute_policies[std::size_t(policy)].second);
            const std::string arguments = text("resnet50 ", precision, ' ', s.n, ' ', s.h, ' ', s.w, ' ', int(policy));
            const auto planned = in_a_process(self, "plan " + arguments), ran = in_a_process(self, "run " + arguments);
            const double grown = ran.at(2);
            const double apart = std::max({std::abs(planned.at(1) / grown - 1), std::abs(ran.at(1) / grown - 1),
                                           std::abs(planned.at(0) / ran.at(0) - 1)});
            std::printf("%-5s %-12s %-9s  %8.1f %8.1f   %8.1f %8.1f   %8.1f   apart %.1f %%%s\n", precision,
                        text(s).c_str(), name.c_str(), planned.at(0) / mib, ran.at(0) / mib, planned.at(1) / mib,
                        ran.at(1) / mib, grown / mib, 100 * apart, apart > bound ? "  TOO FAR" : "");
            std::fflush(stdout);
            worse += apart > bound;
        }
    std::printf("%d cases are further apart than %.0f %%\n", worse, 100 * bound);
    return worse ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv) {
    try {
        const std::vector<std::string> given(argv + 1, argv + argc);
        if (given.empty() || given == std::vector<std::string>{"large"}) return all(argv[0], !given.empty());
        if (given.size() != 7) {
            std::cerr << "usage: high_water [large | plan|run NETWORK fp32|bf16 IMAGES HEIGHT WIDTH POLICY]\n";
            return 2;
        }
        const auto number = [&](std::size_t i) { return std::stol(given.at(i)); };
        const Case c{given.at(1), given.at(2), {number(3), number(4), number(5), 3}, Recompute(number(6))};
        return c.precision == "bf16" ? one<bfloat16>(given.at(0), c) : one<float>(given.at(0), c);
    } catch (const std::exception& error) {
        std::cerr << "error: " << error.what() << '\n';
        return 2;
    }
}
