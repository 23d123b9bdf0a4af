// conv_plans: what cuDNN would run for every convolution of the paper's four networks, on cards that need not be there.
// Prints CSV, one line a card and element type: how many plans there are in each direction, how many of them are from
// the fallback list or off the tensor cores, the largest workspace, and a checksum of the plans themselves, which --all
// prints, one line a convolution. Exits with 1 if one has no engine within 256 MiB, if a stored choice does not lead
// back to its plan, or if --compare finds other lines than a file's.
// --sums: of how many forward convolutions cuDNN gives the sums of the result's channels too, with what workspace.
// --here: for the card at hand, what cuDNN picks with the card beside what it picks with its description alone.
#include <holon/checkpoint/crc32c.hpp>
#include <holon/op/gpu/choices.hpp>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <set>

#include <holon/version.hpp>

#include "convolutions.hpp"

namespace {

using namespace holon;

constexpr std::int64_t budget = std::int64_t(256) << 20;

using Convolutions = std::map<bench::Query, std::string>;

template <class T> const Convolutions& all_convolutions() {
    static const Convolutions all = bench::convolutions<T>(bench::paper_networks, bench::paper_tops,
                                                           {{32, 224, 224, 3}, {2, 1152, 896, 3}}, true);
    return all;
}

struct ElementCase {
    const char* name;
    cudnnDataType_t type;
    gpu::Numerics numerics;
    const Convolutions& convolutions() const {
        return type == CUDNN_DATA_BFLOAT16 ? all_convolutions<bfloat16>()
               : type == CUDNN_DATA_HALF   ? all_convolutions<float16>()
                                           : all_convolutions<float>();
    }
};
const ElementCase elements[] = {{"bfloat16", CUDNN_DATA_BFLOAT16, {}},
                                {"float16", CUDNN_DATA_HALF, {}},
                                {"float32", CUDNN_DATA_FLOAT, {}},
                                {"tf32", CUDNN_DATA_FLOAT, {.tf32 = true}}};

constexpr op::Direction directions[] = {op::Direction::forward, op::Direction::to_input, op::Direction::to_filter};

std::string place(const bench::Query& q) {
    return text(op::direction_name(q.direction), ',', q.add, ',', q.image, ',', op::filter_shape(q.options), ',',
                q.options.stride);
}

/// Whether a plan's choice, written down and read again, gives the same engine, knobs and workspace, by our account and
/// by cuDNN's.
bool leads_back(const gpu::Target& target, const gpu::Convolution& what, const gpu::ConvolutionPlan& plan) {
    const auto key = gpu::key_of(what);
    const auto choice = gpu::parse_choices(gpu::format_choices("", {{key, plan.choice}})).at(key);
    try {
        const auto again = gpu::plan_convolution(target, what, budget, choice);
        // cuDNN's own words for what of a plan is not the convolution or the card.
        const auto words = [](const gpu::ConvolutionPlan& of) {
            const std::string json = of.plan.characters(CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION);
            return json.substr(std::min(json.size(), json.find("\"engine\":")));
        };
        if (again.choice == plan.choice && again.workspace == plan.workspace && words(again) == words(plan))
            return true;
        std::cerr << plan.engine << ": led to " << gpu::format_choices("", {{key, again.choice}}) << '\n';
    } catch (const DeviceError& error) {
        std::cerr << plan.engine << ": " << error.what() << '\n';
    }
    return false;
}

/// Plans of one card and element type in one direction.
struct Count {
    int plans = 0, fallback = 0, off_tensor_cores = 0;
    std::int64_t workspace = 0;
};

/// "engine 62, choice 1 of 37" and "2=3 3=0": what a plan is, without its convolution.
std::string what_runs(const gpu::ConvolutionPlan& plan) {
    std::string knobs;
    for (const auto& [knob, value] : plan.choice.knobs) knobs += text(knobs.empty() ? "" : " ", knob, '=', value);
    return text('"', plan.engine, "\",", knobs, ',', plan.workspace);
}

std::string first_line() { return text("# cuDNN ", gpu::cudnn_version_text(), ", no card: plans, not runs"); }

/// Whether all plans are there and stored choices lead back to them. Prints what `all` says; puts the summary's lines
/// into `summary`.
bool ask_cudnn(const std::vector<op::plan::Card>& cards, bool all, std::vector<std::string>& summary) {
    int missing = 0, plans = 0, lost = 0;
    if (all)
        std::cout << first_line() << "\ncard,element,direction,adds,image,filter,stride,engine,knobs,workspace_bytes\n";
    summary = {first_line()};
    std::string names = "card,element";
    for (const auto direction : directions)
        for (const char* name : {"", " fallback", " off tensor cores", " workspace_bytes"})
            names += text(',', op::direction_name(direction), name);
    summary.push_back(names + ",crc32c");
    for (const auto& card : cards) {
        const auto device = gpu::described(card);
        for (const ElementCase& e : elements) {
            if (card.compute_capability < 800 && e.type != CUDNN_DATA_HALF) continue;  // Turing: no bfloat16, no TF32
            std::map<op::Direction, Count> counts;
            std::string rows;  // without the card, so that cards on which the same runs have the same checksum
            for (const auto& [q, where] : e.convolutions()) {
                std::string row = text(e.name, ',', place(q), ',');
                try {
                    const gpu::Target target{nullptr, &device, card.name};
                    const gpu::Convolution what{q.direction, e.type, q.image, q.options, q.add, e.numerics};
                    const auto plan = gpu::plan_convolution(target, what, budget);
                    // Of every eighth: what a checkpoint would store of it must lead back to it.
                    if (plans++ % 8 == 0) lost += !leads_back(target, what, plan);
                    row += what_runs(plan);
                    Count& count = counts[q.direction];
                    ++count.plans;
                    count.fallback += plan.engine.find("fallback") != std::string::npos;
                    count.off_tensor_cores += !plan.note.empty();
                    count.workspace = std::max(count.workspace, plan.workspace);
                } catch (const DeviceError& error) {
                    ++missing;
                    row += "none,,";
                    std::cerr << where << ": " << error.what() << '\n';
                }
                if (all) std::cout << card.key << ',' << row << '\n';
                rows += row + '\n';
            }
            std::string line = text(card.key, ',', e.name);
            for (const auto direction : directions) {
                const Count& count = counts[direction];
                // float without TF32 has no business on tensor cores
                const bool wanted = e.type != CUDNN_DATA_FLOAT || e.numerics.tf32;
                line += text(',', count.plans, ',', count.fallback, ',',
                             wanted ? std::to_string(count.off_tensor_cores) : "-", ',', count.workspace);
            }
            char checksum[9];
            std::snprintf(checksum, sizeof checksum, "%08x", unsigned(crc32c(std::as_bytes(std::span(rows)))));
            summary.push_back(line + ',' + checksum);
        }
    }
    std::cerr << all_convolutions<float>().size() << " convolutions, " << plans << " plans, " << missing
              << " missing, of every eighth's stored choices " << lost << " led elsewhere\n";
    return missing == 0 && lost == 0;
}

/// Whether a file has the lines of `summary`, in any order, for the cards that it is about; says what differs. A file
/// of another cuDNN is not compared.
bool same_as(const std::string& path, const std::vector<std::string>& summary,
             const std::vector<op::plan::Card>& cards) {
    std::ifstream in(path);
    std::vector<std::string> recorded;
    for (std::string line; std::getline(in, line);) recorded.push_back(line);
    if (recorded.empty()) throw DataError(text(path, ": cannot be read, or is empty"));
    if (recorded.front() != summary.front()) {
        std::cerr << path << " is of another cuDNN (" << recorded.front() << "): not compared\n";
        return true;
    }
    if (cards.size() < op::plan::cards().size())
        std::erase_if(recorded, [&](const std::string& line) {
            return line[0] != '#' && !line.starts_with("card,") &&
                   std::none_of(cards.begin(), cards.end(),
                                [&](const auto& card) { return line.starts_with(card.key + ','); });
        });
    const std::set<std::string> before(recorded.begin(), recorded.end()), now(summary.begin(), summary.end());
    for (const std::string& line : before)
        if (!now.contains(line)) std::cerr << "- " << line << '\n';
    for (const std::string& line : now)
        if (!before.contains(line)) std::cerr << "+ " << line << '\n';
    if (before == now) return true;
    std::cerr << "cuDNN's plans are not those that " << path << " was written from (-). `conv_plans --all --card KEY` "
              << "prints those of a card, at the file's commit and here; `conv_plans > " << path
              << "` records these.\n";
    return false;
}

/// One line a card and element type of 16 bits.
int sums_on_described_cards(const std::string& key) {
    std::cout << first_line() << "\ncard,element,forward convolutions,with sums,largest workspace_bytes\n";
    for (const auto& card : key.empty() ? op::plan::cards() : std::vector{op::plan::find_card(key)}) {
        const auto device = gpu::described(card);
        for (const ElementCase& e : elements) {
            if (e.type == CUDNN_DATA_FLOAT || (card.compute_capability < 800 && e.type == CUDNN_DATA_BFLOAT16)) continue;
            int all = 0, given = 0;
            std::int64_t workspace = 0;
            for (const auto& [q, where] : e.convolutions()) {
                if (q.direction != op::Direction::forward) continue;
                ++all;
                try {
                    const auto plan = gpu::plan_convolution({nullptr, &device, card.name},
                                                            {q.direction, e.type, q.image, q.options, false, e.numerics, true}, budget);
                    ++given;
                    workspace = std::max(workspace, plan.workspace);
                } catch (const DeviceError&) {
                }
            }
            std::cout << card.key << ',' << e.name << ',' << all << ',' << given << ',' << workspace << '\n';
        }
    }
    return 0;
}

int described_cards(const std::string& key, bool all, const std::string& compare) {
    const auto cards = key.empty() ? op::plan::cards() : std::vector{op::plan::find_card(key)};
    std::vector<std::string> summary;
    bool good = ask_cudnn(cards, all, summary);
    if (!compare.empty()) good = same_as(compare, summary, cards) && good;
    if (!all && compare.empty())
        for (const std::string& line : summary) std::cout << line << '\n';
    return good ? 0 : 1;
}

#ifdef HOLON_CUDA
int card_at_hand() {
    auto& context = default_context<Gpu>();
    const gpu::Target real = context.state<gpu::PlanCache>().target();
    gpu::Descriptor device(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
    device.set(CUDNN_ATTR_DEVICEPROP_HANDLE, real.handle);
    device = std::move(device).finalize();
    const std::string json = device.characters(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION);
    gpu::Descriptor description(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
    description.set(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR,
                    std::span<const char>(json.data(), json.size()));
    description = std::move(description).finalize();
    const auto pick = [&](const gpu::Target& target, const gpu::Convolution& what) -> std::string {
        try {
            const auto plan = gpu::plan_convolution(target, what, budget);
            return text('"', plan.engine, "\",", plan.workspace);
        } catch (const DeviceError&) {
            return "none,";
        }
    };
    int same = 0, count = 0, missing = 0, lost = 0;
    std::cout << "# cuDNN " << gpu::cudnn_version_text() << " on " << real.name << "\n"
              << "element,direction,adds,image,filter,stride,with_card,workspace_bytes,described,workspace_bytes\n";
    for (const ElementCase& e : elements) {
        for (const auto& [q, where] : e.convolutions()) {
            const gpu::Convolution what{q.direction, e.type, q.image, q.options, q.add, e.numerics};
            if (count % 8 == 0) try {
                    lost += !leads_back(real, what, gpu::plan_convolution(real, what, budget));
                } catch (const DeviceError&) {  // `pick` counts it as missing
                }
            const std::string with_card = pick(real, what), without = pick({nullptr, &description, real.name}, what);
            std::cout << e.name << ',' << place(q) << ',' << with_card << ',' << without << '\n';
            ++count, same += with_card.substr(0, with_card.find(',')) == without.substr(0, without.find(','));
            missing += with_card == "none,";
        }
    }
    std::cerr << count << " convolutions, " << same << " with the same engine, " << missing
              << " without one, of every eighth's stored choices " << lost << " led elsewhere\n";
    return missing == 0 && lost == 0 ? 0 : 1;
}
#endif

}  // namespace

int main(int argc, char** argv) {
    CLI::App app{
        "What cuDNN would run for every convolution of the paper's networks, on cards that need not be there."};
    app.set_version_flag("--version", text("holon ", version));
    bool all = false, sums = false;
    std::string card, compare;
    app.add_flag("--all", all, "every plan instead of the summary");
    app.add_flag("--sums", sums, "convolutions that give the sums of their result's channels too");
    std::vector<std::string> keys;
    for (const auto& known : op::plan::cards()) keys.push_back(known.key);
    app.add_option("--card", card, "this card alone")->check(CLI::IsMember(keys));
    app.add_option("--compare", compare, "exit with 1 where the summary is not this file's");
#ifdef HOLON_CUDA
    bool here = false;
    app.add_flag("--here", here, "the card at hand, beside its description alone");
#endif
    CLI11_PARSE(app, argc, argv);
    try {
#ifdef HOLON_CUDA
        if (here) return card_at_hand();
#endif
        return sums ? sums_on_described_cards(card) : described_cards(card, all, compare);
    } catch (const Error& error) {
        std::cerr << "error: " << error.what() << '\n';
    }
    return 2;
}
