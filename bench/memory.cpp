// memory: what a training step on the CPU holds under each recompute policy: as planned, as counted, as the system saw
// it; whether the results are the same bits; and what each costs in time. Each policy runs in a process of its own.
#include <holon/model/whole_image.hpp>

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <iostream>
#include <sstream>

#include "pipeline/process_memory.hpp"
#include "pipeline/recompute.hpp"

namespace {

using namespace holon;

struct Choices {
    pipeline::Options common;
    int steps = 3, rounds = 0;
    bool sealed = false;
    std::string python;
};

/// From here on the system gives this process no memory: mmap, mremap and brk fail. False where it has no seccomp.
bool seal() {
#if defined(__x86_64__)
    constexpr auto number = offsetof(seccomp_data, nr);
    sock_filter filter[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, number),
                            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 3, 0),
                            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mremap, 2, 0),
                            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_brk, 1, 0),
                            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
                            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOMEM)};
    sock_fprog program{sizeof filter / sizeof *filter, filter};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) == 0;
#else
    return false;
#endif
}

template <Element T, Device D> WholeImage<T, D> network(const Choices& c) {
    return to_whole_image(PatchClassifier<T, D>(c.common.network, 1, 0.0, 1), parse_top(c.common.top), 2, 1);
}

template <Element T> struct Training {
    explicit Training(const Choices& c) : net(network<T, Cpu>(c)), adam(make_adam(net, {.rate = 1e-4})) {
        adam.prepare(net);
        const pipeline::ImageSize size = c.common.image_size();
        Random random(1);
        Tensor<float, Cpu> host({c.common.batch, size.rows, size.columns, 3});
        for (float& v : host.elements()) v = float(random.uniform(-1, 1));
        x = Variable<T, Cpu>(cast<T>(host));
        for (int i = 0; i < c.common.batch; ++i) labels.push_back(int(random.below(2)));
    }
    void step(Recompute policy) {
        const Recomputing recomputing(policy);
        cross_entropy(net(x, Mode::train), std::span<const int>(labels)).backward();
        adam.step(net);
        clear_gradients(net);
    }
    /// FNV-1a over the bits of every parameter and running statistic.
    std::uint64_t digest() {
        std::uint64_t sum = 0xcbf29ce484222325;
        const auto take = [&](const auto& tensor) {
            const auto all = std::as_const(tensor).elements();
            const auto* bytes = reinterpret_cast<const unsigned char*>(all.data());
            for (std::size_t i = 0; i < all.size_bytes(); ++i) sum = (sum ^ bytes[i]) * 0x100000001b3;
        };
        VisitorFor<WholeImage<T, Cpu>> visit;
        visit.on_parameter = [&](const std::string&, auto& p) { take(p.value()); };
        visit.on_state = [&](const std::string&, auto& s) { take(s.value()); };
        visit(std::string_view(), net);
        return sum;
    }

    WholeImage<T, Cpu> net;
    Adam<Accumulate<T>, Cpu> adam;
    Variable<T, Cpu> x;
    std::vector<int> labels;
};

/// One policy in this process: counted peak, with gaps, growth of VmHWM over what a tiny step leaves (libraries' code,
/// threads), what the system gave after the first step (growths of the arenas, bytes mapped, bytes of heap), digest.
template <Element T> int one(const Choices& c) {
    const Recompute policy = pipeline::parse_recompute(c.common.recompute);
    auto& memory = default_context<Cpu>().memory();
    {
        Choices tiny = c;
        tiny.common.network = "resnet14", tiny.common.size = "128x128", tiny.common.batch = 1;
        Training<T>(tiny).step(policy);
    }
    memory.trim();
    memory.reset_peak();
    const std::size_t before = pipeline::process_status("VmRSS");
    // The heap (nodes and closures of the graph) takes some MiB at a time and gives none back.
    mallopt(M_TOP_PAD, 8 << 20);
    mallopt(M_TRIM_THRESHOLD, 64 << 20);
    Training<T> training(c);
    training.step(policy);
    const std::size_t growths = memory.use().growths;
    const auto given = pipeline::FromSystem::now();
    const bool sealed = c.sealed && seal();
    for (int step = 1; step < c.steps; ++step) training.step(policy);
    const MemoryUse use = memory.use();
    const auto after = pipeline::FromSystem::now();
    std::cout << use.peak << ' ' << use.peak_reserved << ' ' << pipeline::process_status("VmHWM") - before << ' '
              << use.growths - growths << ' ' << after.mapped - given.mapped << ' ' << after.heap - given.heap << ' '
              << sealed << ' ' << training.digest() % (std::uint64_t(1) << 48) << std::endl;
    _exit(0);  // a sealed process cannot even end in order
}

std::vector<double> numbers_of(const std::string& command) {
    FILE* const pipe = popen(command.c_str(), "r");
    expects<DeviceError>(pipe != nullptr, "cannot start ", command);
    std::string out;
    for (char part[256]; std::fgets(part, sizeof part, pipe);) out += part;
    expects<DeviceError>(pclose(pipe) == 0, command, " failed");
    std::istringstream in(out);
    std::vector<double> numbers;
    for (double number; in >> number;) numbers.push_back(number);
    return numbers;
}

/// Median seconds of a step under each policy, the policies taking turns.
template <Element T> std::array<double, recompute_policies.size()> seconds_of(const Choices& c) {
    Training<T> training(c);
    std::array<std::vector<double>, recompute_policies.size()> all;
    for (int round = 0; round <= c.rounds; ++round)
        for (const auto& [policy, name] : recompute_policies) {
            const auto begin = std::chrono::steady_clock::now();
            training.step(policy);
            const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
            if (round) all[std::size_t(policy)].push_back(took.count());  // the first warms up
        }
    std::array<double, recompute_policies.size()> medians{};
    for (std::size_t p = 0; p < all.size(); ++p) {
        std::sort(all[p].begin(), all[p].end());
        if (!all[p].empty()) medians[p] = all[p][all[p].size() / 2];
    }
    return medians;
}

template <Element T> int table(const std::string& self, const Choices& c) {
    const pipeline::ImageSize size = c.common.image_size();
    const Shape image{c.common.batch, size.rows, size.columns, 3};
    std::cout << "training " << c.common.network << " + " << c.common.top << ", " << image << ", " << element_name<T>()
              << ", Adam, oneDNN " << op::cpu::dnnl_version_text() << "; GiB\n";
    std::printf("%-11s %8s %8s %9s %8s  %-32s %-6s\n", "recompute", "planned", "counted", "with gaps", "VmHWM",
                "from the system after step 1", "bits");
    double digest = 0;
    pipeline::plan_for_device<T, Cpu>();
    for (const auto& [policy, name] : recompute_policies) {
        const std::size_t planned = walk_step([&] { return network<T, Plan>(c); }, image, {policy, 1}).peak;
        const auto got =
            numbers_of(text("'", self, "' --one --network ", c.common.network, " --top '", c.common.top, "' --size ",
                            c.common.size, " --batch ", c.common.batch, " --precision ", c.common.precision,
                            " --steps ", c.steps, " --recompute ", name, c.sealed ? " --sealed" : ""));
        if (policy == Recompute::nothing) digest = got.at(7);
        std::printf(
            "%-11s %8.3f %8.3f %9.3f %8.3f  %-32s %-6s\n", std::string(name).c_str(), double(planned) / 0x1p30,
            got.at(0) / 0x1p30, got.at(1) / 0x1p30, got.at(2) / 0x1p30,
            text(got.at(3), " growths, ", got.at(4), " B, heap ", got.at(5), " B", got.at(6) ? ", sealed" : "").c_str(),
            got.at(7) == digest ? "same" : "OTHER");
        std::fflush(stdout);
    }
    if (!c.python.empty()) {
        const auto peer = numbers_of(text("'", c.python, "' bench/peers/memory.py --size ", c.common.size, " --batch ",
                                          c.common.batch, " --precision ", c.common.precision, " --steps ", c.steps));
        std::printf("PyTorch, channels_last, eager: peak RSS %.3f, of it %.3f grown since it was imported\n",
                    peer.at(0) / 0x1p30, peer.at(1) / 0x1p30);
    }
    if (c.rounds) {
        const auto seconds = seconds_of<T>(c);
        for (const auto& [policy, name] : recompute_policies)
            std::printf("%-11s %8.2f s a step, %+.1f %%\n", std::string(name).c_str(), seconds[std::size_t(policy)],
                        100 * (seconds[std::size_t(policy)] / seconds[0] - 1));
    }
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app{"What a training step on the CPU holds under each recompute policy."};
    Choices c;
    c.common.batch = 2;
    bool single = false;
    app.add_option("--network", c.common.network, "resnet50 | resnet50-keras | resnet14 | vgg16")
        ->capture_default_str();
    app.add_option("--top", c.common.top, "blocks on the trunk")->capture_default_str();
    app.add_option("--size", c.common.size, "rows x columns")->capture_default_str();
    app.add_option("--batch", c.common.batch, "images a step")->check(CLI::Range(1, 65536))->capture_default_str();
    app.add_option("--precision", c.common.precision, "fp32 | bf16")
        ->check(CLI::IsMember({"fp32", "bf16"}))
        ->capture_default_str();
    app.add_option("--steps", c.steps, "steps of each policy")->check(CLI::Range(2, 100000))->capture_default_str();
    app.add_option("--rounds", c.rounds, "then time the policies, taking turns, this often; 0: do not")
        ->check(CLI::Range(0, 100000))
        ->capture_default_str();
    app.add_flag("--sealed", c.sealed,
                 "after the first step the system refuses all memory (seccomp): the rest must do without");
    app.add_option("--python", c.python, "a Python with PyTorch, to run bench/peers/memory.py beside it");
    app.add_flag("--one", single, "one policy, --recompute, in this process; prints numbers");
    app.add_option("--recompute", c.common.recompute, "with --one")
        ->check(CLI::IsMember({"nothing", "batch_norm", "expansion", "block"}))
        ->capture_default_str();
    CLI11_PARSE(app, argc, argv);
    try {
        if (c.common.precision == "bf16") return single ? one<bfloat16>(c) : table<bfloat16>(argv[0], c);
        return single ? one<float>(c) : table<float>(argv[0], c);
    } catch (const Error& error) {
        std::cerr << "error: " << error.what() << '\n';
        return 2;
    }
}
