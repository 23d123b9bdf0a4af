// op/gpu/convolution.hpp: cuDNN execution plans for convolutions, for the card at hand or for one that is only
// described.
#pragma once
#include <dlfcn.h>

#include <holon/op/check.hpp>
#include <holon/op/gpu/descriptor.hpp>
#include <holon/op/gpu/settings.hpp>
#include <holon/op/plan/card.hpp>

namespace holon::gpu {

template <Element T> constexpr cudnnDataType_t cudnn_type() {
    static_assert(!std::same_as<T, double>);
    return std::same_as<T, float> ? CUDNN_DATA_FLOAT : std::same_as<T, float16> ? CUDNN_DATA_HALF : CUDNN_DATA_BFLOAT16;
}
/// By the name that `element_name` gives.
inline cudnnDataType_t cudnn_type(std::string_view element) {
    return element == "float32" ? CUDNN_DATA_FLOAT : element == "float16" ? CUDNN_DATA_HALF : CUDNN_DATA_BFLOAT16;
}

/// The name that `element_name` gives.
inline std::string_view type_name(cudnnDataType_t type) {
    return type == CUDNN_DATA_FLOAT ? "float32" : type == CUDNN_DATA_HALF ? "float16" : "bfloat16";
}

namespace detail {

/// Without a card cuDNN opens NVRTC (100 MB, relocated each time) for a plan and closes it with the plan. Where it is
/// kept open, plans take a tenth of the time; where it is not found, nothing changes.
inline void keep_nvrtc_open() {
    static const void* const opened = dlopen(text("libnvrtc.so.", CUDART_VERSION / 1000).c_str(), RTLD_LAZY);
    static_cast<void>(opened);
}

}  // namespace detail

/// A card as cuDNN takes it where there is none (>= 9.11).
inline Descriptor described(const op::plan::Card& card) {
    detail::keep_nvrtc_open();
    const std::string json =
        text(R"({"deviceName":")", card.name, R"(","cudaDeviceId":0,"deviceVer":)", card.compute_capability,
             R"(,"driverVer":13000,"isTccDriver":0,"l2CacheSize":)", card.l2_cache,
             R"(,"maxBlockSize":[1024,1024,64],"maxGridSize":[2147483647,65535,65535],"maxCtasPerSM":)",
             card.blocks_per_multiprocessor, R"(,"maxRegistersPerSM":65536,"maxSharedMemoryPerBlock":49152,)",
             R"("maxSharedMemoryPerBlockOptin":)", card.shared_memory_per_block,
             R"(,"maxThreadsPerBlock":1024,"maxThreadsPerSM":)", card.threads_per_multiprocessor,
             R"(,"memClockRateKHz":)", card.memory_khz, R"(,"multiProcessorCount":)", card.multiprocessors,
             R"(,"pciDeviceId":0,"regsPerBlock":65536,"reservedSharedMemoryPerBlock":1024,"smClockRateKHz":)",
             card.core_khz, R"(,"supportCoopLaunch":1,"totalGlobalMem":)", card.memory, R"(,"warpSize":32})");
    Descriptor device(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
    device.set(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR,
               std::span<const char>(json.data(), json.size()));
    return std::move(device).finalize();
}

/// What plans are made for: a handle on the card at hand, or a described device.
struct Target {
    cudnnHandle_t handle = nullptr;
    const Descriptor* device = nullptr;
    std::string name;  ///< for messages
};

/// One direction of one convolution of images x. `add`: the result is added to what is there.
struct Convolution {
    op::Direction direction = op::Direction::forward;
    cudnnDataType_t type = CUDNN_DATA_FLOAT;
    Shape x;
    Conv2dOptions options;
    bool add = false;
    Numerics numerics = {};
    bool sums = false;  ///< forward only: for each channel of the result, the sum of its values and of their squares too
};

/// What a plan of a convolution is made of: cuDNN's number of an engine, and its knobs with their values. The same
/// choice on the same card, with the same cuDNN, runs the same kernels.
struct EngineChoice {
    std::int64_t engine = -1;
    std::vector<std::pair<int, std::int64_t>> knobs;
    friend bool operator==(const EngineChoice&, const EngineChoice&) = default;
};

/// A convolution, ready to run.
struct ConvolutionPlan {
    Descriptor plan;
    std::int64_t workspace = 0;  ///< bytes
    std::string engine;          ///< "engine 28, choice 1 of 9"
    EngineChoice choice;
    bool sums = false;           ///< see `Convolution::sums`
    std::string note = {};  ///< a warning where 16-bit or TF32 inputs are not computed on tensor cores; else empty
};

namespace detail {

/// dims n, c, h, w over n h w c memory (and k, c, r, s over k r s c).
inline Descriptor tensor(std::int64_t id, cudnnDataType_t type, const Shape& s) {
    const std::array<std::int64_t, 4> dims{s.n, s.c, s.h, s.w}, strides{s.h * s.w * s.c, 1, s.w * s.c, s.c};
    Descriptor t(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    t.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, id).set(CUDNN_ATTR_TENSOR_DATA_TYPE, type);
    t.set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, std::int64_t(16));
    t.set(CUDNN_ATTR_TENSOR_DIMENSIONS, std::span<const std::int64_t>(dims));
    t.set(CUDNN_ATTR_TENSOR_STRIDES, std::span<const std::int64_t>(strides));
    return std::move(t).finalize();
}

inline Descriptor convolution(const Conv2dOptions& o) {
    const std::array<std::int64_t, 2> before{o.padding.top, o.padding.left}, after{o.padding.bottom, o.padding.right},
        stride{o.stride.h, o.stride.w}, dilation{o.dilation.h, o.dilation.w};
    Descriptor c(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
    const cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
    c.set(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_DATA_FLOAT);
    c.set(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE,
          std::span<const cudnnConvolutionMode_t>(&mode, 1));
    c.set(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, std::int64_t(2));
    c.set(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, std::span<const std::int64_t>(before));
    c.set(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, std::span<const std::int64_t>(after));
    c.set(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, std::span<const std::int64_t>(stride));
    c.set(CUDNN_ATTR_CONVOLUTION_DILATIONS, std::span<const std::int64_t>(dilation));
    return std::move(c).finalize();
}

/// Identifiers of the tensors.
constexpr std::int64_t image_id = 'x', filter_id = 'w', result_id = 'y', sum_id = 's', squares_id = 'q';

/// The operations of a graph: the convolution, and the sums if they are asked for.
inline std::vector<Descriptor> operations(const Convolution& what) {
    struct Names {
        cudnnBackendDescriptorType_t op;
        cudnnBackendAttributeName_t convolution, x, w, y, alpha, beta;
    };
    static constexpr Names all[] = {
        {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
         CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
         CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
         CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA},
        {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
         CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
         CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
         CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA},
        {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
         CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
         CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
         CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA}};
    const Names& names = all[int(what.direction)];
    const Conv2dOptions& o = what.options;
    std::vector<Descriptor> made;
    const Shape shape = op::conv2d_shape(what.x, o);
    const Descriptor result = tensor(result_id, what.type, shape);
    Descriptor& op = made.emplace_back(names.op);
    op.set(names.convolution, convolution(o));
    op.set(names.x, tensor(image_id, what.type, what.x));
    op.set(names.w, tensor(filter_id, what.type, op::filter_shape(o)));
    op.set(names.y, result);
    op.set(names.alpha, 1.0f).set(names.beta, what.add ? 1.0f : 0.0f);
    op = std::move(op).finalize();
    if (!what.sums) return made;
    const cudnnGenStatsMode_t mode = CUDNN_GENSTATS_SUM_SQSUM;
    Descriptor& sums = made.emplace_back(CUDNN_BACKEND_OPERATION_GEN_STATS_DESCRIPTOR);
    sums.set(CUDNN_ATTR_OPERATION_GENSTATS_MODE, CUDNN_TYPE_GENSTATS_MODE, std::span<const cudnnGenStatsMode_t>(&mode, 1));
    sums.set(CUDNN_ATTR_OPERATION_GENSTATS_MATH_PREC, CUDNN_DATA_FLOAT);
    sums.set(CUDNN_ATTR_OPERATION_GENSTATS_XDESC, result);
    sums.set(CUDNN_ATTR_OPERATION_GENSTATS_SUMDESC, tensor(sum_id, CUDNN_DATA_FLOAT, vector_shape(shape.c)));
    sums.set(CUDNN_ATTR_OPERATION_GENSTATS_SQSUMDESC, tensor(squares_id, CUDNN_DATA_FLOAT, vector_shape(shape.c)));
    sums = std::move(sums).finalize();
    return made;
}

inline std::vector<Descriptor> configurations(const Target& target, const Descriptor& graph,
                                              cudnnBackendHeurMode_t mode) {
    Descriptor heuristic(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
    heuristic.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph);
    heuristic.set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, std::span<const cudnnBackendHeurMode_t>(&mode, 1));
    if (target.device) heuristic.set(CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, *target.device);
    heuristic = std::move(heuristic).finalize();
    return heuristic.list(CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
}

inline bool on_tensor_cores(const Descriptor& engine) {
    const auto notes = engine.notes();
    return std::find(notes.begin(), notes.end(), CUDNN_NUMERICAL_NOTE_TENSOR_CORE) != notes.end();
}

/// Why an engine must not be used under these numerics; empty if it may.
inline std::string objection(const Descriptor& engine, cudnnDataType_t type, const Numerics& numerics) {
    for (const auto note : engine.notes()) {
        if (note == CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC && numerics.deterministic) return "is not deterministic";
        if (note == CUDNN_NUMERICAL_NOTE_TENSOR_CORE && type == CUDNN_DATA_FLOAT && !numerics.tf32)
            return "rounds float inputs to TF32";
        if (note == CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS) return "rounds inputs down";
        if (note == CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION) return "sums in less than float";
        // The errors of these transforms grow with the tile. Winograd's of 4x4, which float runs on where there are no tensor
        // cores for it, stays.
        if (note == CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_6x6 || note == CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_13x13 ||
            note == CUDNN_NUMERICAL_NOTE_FFT)
            return "computes by a transform of large tiles";
    }
    return {};
}

}  // namespace detail

namespace detail {

/// The choice that a configuration stands for.
inline EngineChoice choice_of(const Descriptor& configuration, const Descriptor& engine) {
    EngineChoice choice{engine.integer(CUDNN_ATTR_ENGINE_GLOBAL_INDEX), {}};
    for (const Descriptor& knob : configuration.list(CUDNN_ATTR_ENGINECFG_KNOB_CHOICES,
                                                     CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR, CUDNN_KNOB_TYPE_COUNTS))
        choice.knobs.emplace_back(
            int(knob.enumerator<cudnnBackendKnobType_t>(CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE)),
            knob.integer(CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE));
    return choice;
}

/// The configuration that a choice stands for.
inline Descriptor configuration_of(const EngineChoice& choice, const Descriptor& engine) {
    std::vector<Descriptor> knobs;
    for (const auto& [type, value] : choice.knobs) {
        Descriptor& knob = knobs.emplace_back(CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR);
        const auto kind = cudnnBackendKnobType_t(type);
        knob.set(CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE,
                 std::span<const cudnnBackendKnobType_t>(&kind, 1));
        knob.set(CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, value);
        knob = std::move(knob).finalize();
    }
    Descriptor configuration(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
    configuration.set(CUDNN_ATTR_ENGINECFG_ENGINE, engine);
    if (!knobs.empty()) configuration.set(CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, knobs);
    return std::move(configuration).finalize();
}

inline Descriptor operation_graph(const Target& target, const Convolution& what) {
    Descriptor graph(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    graph.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, operations(what));
    if (target.handle) graph.set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, target.handle);
    return std::move(graph).finalize();
}

inline ConvolutionPlan plan_of(const Target& target, const Convolution& what, const Descriptor& configuration,
                               const Descriptor& engine, std::string words) {
    Descriptor plan(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
    plan.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, configuration);
    if (target.handle) plan.set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, target.handle);
    if (target.device) plan.set(CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, *target.device);
    plan = std::move(plan).finalize();
    const std::int64_t workspace = plan.integer(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE);
    return {std::move(plan), workspace, std::move(words), choice_of(configuration, engine), what.sums};
}

}  // namespace detail

/// The plan that a choice stands for. Throws `DeviceError` where there is none such, or it does not keep within
/// `budget` and the numerics asked for.
inline ConvolutionPlan plan_convolution(const Target& target, const Convolution& what, std::int64_t budget,
                                        const EngineChoice& choice) {
    const Descriptor graph = detail::operation_graph(target, what);
    Descriptor engine(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
    engine.set(CUDNN_ATTR_ENGINE_OPERATION_GRAPH, graph).set(CUDNN_ATTR_ENGINE_GLOBAL_INDEX, choice.engine);
    if (target.device) engine.set(CUDNN_ATTR_ENGINE_DEVICEPROP, *target.device);
    engine = std::move(engine).finalize();
    const std::string refused = detail::objection(engine, what.type, what.numerics);
    if (!refused.empty()) throw DeviceError(text("engine ", choice.engine, ' ', refused));
    auto plan = detail::plan_of(target, what, detail::configuration_of(choice, engine), engine,
                                text("engine ", choice.engine, ", as before"));
    if (plan.workspace > budget)
        throw DeviceError(
            text("engine ", choice.engine, " takes ", plan.workspace, " bytes of workspace, ", budget, " are allowed"));
    return plan;
}

/// Up to `most` engines, in the order in which cuDNN's heuristics offer them (mode A, then the fallback list), within
/// `budget` bytes of workspace and the numerics asked for. Throws `DeviceError` where there is none, with
/// layer-independent facts: direction, shape, type, card, version, and what to change.
inline std::vector<ConvolutionPlan> plan_convolutions(const Target& target, const Convolution& what,
                                                      std::int64_t budget, std::size_t most) {
    std::vector<ConvolutionPlan> plans;
    std::string last = "the heuristics offer none";
    std::int64_t least = -1;
    // Engines that give sums carry no notes, and are used only where they were timed to be faster.
    const bool for_tensor_cores = (what.type != CUDNN_DATA_FLOAT || what.numerics.tf32) && !what.sums;
    std::int64_t passed_over = -1;  // the least workspace of the engines on tensor cores that want too much of it
    const auto in_words = [&] {
        return text("conv2d ", op::direction_name(what.direction), what.sums ? " with sums of " : " of ", type_name(what.type), ", image ", what.x, ", filter ",
                    op::filter_shape(what.options), ", stride ", what.options.stride);
    };
    const auto plan_one = [&](const Descriptor& configuration, const std::string& place) {
        const auto engines = configuration.list(CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_BACKEND_ENGINE_DESCRIPTOR);
        if (engines.empty()) return;
        const std::string engine = text("engine ", engines.front().integer(CUDNN_ATTR_ENGINE_GLOBAL_INDEX));
        const std::string refused = detail::objection(engines.front(), what.type, what.numerics);
        if (!refused.empty()) {
            last = engine + " " + refused;
            return;
        }
        auto plan = detail::plan_of(target, what, configuration, engines.front(), engine + ", " + place);
        const bool leaves_tensor_cores = for_tensor_cores && !detail::on_tensor_cores(engines.front());
        if (plan.workspace > budget) {
            least = least < 0 ? plan.workspace : std::min(least, plan.workspace);
            last = text("the smallest workspace on offer is ", least, " bytes");
            if (for_tensor_cores && !leaves_tensor_cores && (passed_over < 0 || plan.workspace < passed_over))
                passed_over = plan.workspace;
            return;
        }
        if (leaves_tensor_cores)
            plan.note = text(in_words(), " runs on ", plan.engine, ", which does not use tensor cores; ",
                             passed_over < 0 ? std::string("no engine that cuDNN prefers to it does")
                                             : text("one that does needs ", (passed_over + (1 << 20) - 1) >> 20,
                                                    " MiB of workspace, ", budget >> 20, " MiB are allowed"));
        plans.push_back(std::move(plan));
    };
    try {
        const Descriptor graph = detail::operation_graph(target, what);
        for (const auto mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK}) {
            const auto offered = detail::configurations(target, graph, mode);
            for (std::size_t i = 0; i < offered.size() && plans.size() < most; ++i) {
                try {
                    plan_one(offered[i],
                             text(mode == CUDNN_HEUR_MODE_A ? "choice " : "fallback ", i + 1, " of ", offered.size()));
                } catch (const DeviceError& error) {
                    last = error.what();
                }
            }
        }
    } catch (const DeviceError& error) {
        last = error.what();
    }
    if (plans.empty())
        throw DeviceError(text(in_words(), ": no cuDNN engine on ", target.name, " with cuDNN ", cudnn_version_text(), " within ", budget, " bytes of workspace: ", last,
                               "; another precision, a larger workspace budget, TF32 allowed, determinism given up or "
                               "channels that are multiples of 8 may have one"));
    return plans;
}
/// The first of them.
inline ConvolutionPlan plan_convolution(const Target& target, const Convolution& what, std::int64_t budget) {
    return std::move(plan_convolutions(target, what, budget, 1).front());
}

}  // namespace holon::gpu
