// fake/finalize.cpp: which attributes the fake cuDNN's descriptors take, and what makes them valid.
#include <algorithm>

#include "fake/descriptor.hpp"

namespace holon::fake {
namespace {

constexpr std::int64_t many = std::int64_t(1) << 30;
constexpr auto forward = CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
               to_data = CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
               to_filter = CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
               statistics = CUDNN_BACKEND_OPERATION_GEN_STATS_DESCRIPTOR;
constexpr auto tensor = CUDNN_BACKEND_TENSOR_DESCRIPTOR, convolution = CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR,
               graph = CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, heuristics = CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR,
               engine = CUDNN_BACKEND_ENGINE_DESCRIPTOR, configuration = CUDNN_BACKEND_ENGINECFG_DESCRIPTOR,
               plan = CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, pack = CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR,
               device = CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR, knob = CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR;
constexpr auto numbers = CUDNN_TYPE_INT64, child = CUDNN_TYPE_BACKEND_DESCRIPTOR;

const Rule rules[] = {
    {tensor, CUDNN_ATTR_TENSOR_UNIQUE_ID, "the unique id", numbers, 1, 1, true},
    {tensor, CUDNN_ATTR_TENSOR_DATA_TYPE, "the data type", CUDNN_TYPE_DATA_TYPE, 1, 1, true},
    {tensor, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, "the byte alignment", numbers, 1, 1, true},
    {tensor, CUDNN_ATTR_TENSOR_DIMENSIONS, "the dimensions", numbers, 1, CUDNN_DIM_MAX, true},
    {tensor, CUDNN_ATTR_TENSOR_STRIDES, "the strides", numbers, 1, CUDNN_DIM_MAX, true},
    {tensor, CUDNN_ATTR_TENSOR_IS_VIRTUAL, "virtual or not", CUDNN_TYPE_BOOLEAN, 1, 1, false},
    {convolution, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, "the compute type", CUDNN_TYPE_DATA_TYPE, 1, 1, true},
    {convolution, CUDNN_ATTR_CONVOLUTION_CONV_MODE, "the mode", CUDNN_TYPE_CONVOLUTION_MODE, 1, 1, true},
    {convolution, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, "the number of dimensions", numbers, 1, 1, true},
    {convolution, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, "the padding before", numbers, 1, CUDNN_DIM_MAX, true},
    {convolution, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, "the padding after", numbers, 1, CUDNN_DIM_MAX, true},
    {convolution, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, "the strides", numbers, 1, CUDNN_DIM_MAX, true},
    {convolution, CUDNN_ATTR_CONVOLUTION_DILATIONS, "the dilations", numbers, 1, CUDNN_DIM_MAX, true},
    {forward, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, "the convolution", child, 1, 1, true, convolution},
    {forward, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, "x", child, 1, 1, true, tensor},
    {forward, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, "w", child, 1, 1, true, tensor},
    {forward, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, "y", child, 1, 1, true, tensor},
    {forward, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, "alpha", CUDNN_TYPE_FLOAT, 1, 1, false},
    {forward, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA, "beta", CUDNN_TYPE_FLOAT, 1, 1, false},
    {to_data, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC, "the convolution", child, 1, 1, true, convolution},
    {to_data, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX, "dx", child, 1, 1, true, tensor},
    {to_data, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W, "w", child, 1, 1, true, tensor},
    {to_data, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY, "dy", child, 1, 1, true, tensor},
    {to_data, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA, "alpha", CUDNN_TYPE_FLOAT, 1, 1, false},
    {to_data, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA, "beta", CUDNN_TYPE_FLOAT, 1, 1, false},
    {to_filter, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC, "the convolution", child, 1, 1, true,
     convolution},
    {to_filter, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X, "x", child, 1, 1, true, tensor},
    {to_filter, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW, "dw", child, 1, 1, true, tensor},
    {to_filter, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY, "dy", child, 1, 1, true, tensor},
    {to_filter, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA, "alpha", CUDNN_TYPE_FLOAT, 1, 1, false},
    {to_filter, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA, "beta", CUDNN_TYPE_FLOAT, 1, 1, false},
    {statistics, CUDNN_ATTR_OPERATION_GENSTATS_MODE, "the mode", CUDNN_TYPE_GENSTATS_MODE, 1, 1, true},
    {statistics, CUDNN_ATTR_OPERATION_GENSTATS_MATH_PREC, "the compute type", CUDNN_TYPE_DATA_TYPE, 1, 1, true},
    {statistics, CUDNN_ATTR_OPERATION_GENSTATS_XDESC, "x", child, 1, 1, true, tensor},
    {statistics, CUDNN_ATTR_OPERATION_GENSTATS_SUMDESC, "the sum", child, 1, 1, true, tensor},
    {statistics, CUDNN_ATTR_OPERATION_GENSTATS_SQSUMDESC, "the sum of squares", child, 1, 1, true, tensor},
    {graph, CUDNN_ATTR_OPERATIONGRAPH_OPS, "the operations", child, 1, many, true},
    {graph, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, "the handle", CUDNN_TYPE_HANDLE, 1, 1, false},
    {heuristics, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, "the operation graph", child, 1, 1, true, graph},
    {heuristics, CUDNN_ATTR_ENGINEHEUR_MODE, "the mode", CUDNN_TYPE_HEUR_MODE, 1, 1, true},
    {heuristics, CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, "the device", child, 1, 1, false, device},
    {heuristics, CUDNN_ATTR_ENGINEHEUR_SM_COUNT_TARGET, "multiprocessors", CUDNN_TYPE_INT32, 1, 1, false},
    {engine, CUDNN_ATTR_ENGINE_OPERATION_GRAPH, "the operation graph", child, 1, 1, true, graph},
    {engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, "the global index", numbers, 1, 1, true},
    {engine, CUDNN_ATTR_ENGINE_DEVICEPROP, "the device", child, 1, 1, false, device},
    {configuration, CUDNN_ATTR_ENGINECFG_ENGINE, "the engine", child, 1, 1, true, engine},
    {configuration, CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, "the knobs", child, 1, many, false, knob},
    {knob, CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, "the knob's type", CUDNN_TYPE_KNOB_TYPE, 1, 1, true},
    {knob, CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, "the knob's value", numbers, 1, 1, true},
    {plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, "the engine configuration", child, 1, 1, false, configuration},
    {plan, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, "the handle", CUDNN_TYPE_HANDLE, 1, 1, false},
    {plan, CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, "the device", child, 1, 1, false, device},
    {plan, CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION, "the JSON", CUDNN_TYPE_CHAR, 1, many, false},
    {pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, "the unique ids", numbers, 1, many, true},
    {pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, "the data pointers", CUDNN_TYPE_VOID_PTR, 1, many, true},
    {pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, "the workspace", CUDNN_TYPE_VOID_PTR, 1, 1, false},
    {device, CUDNN_ATTR_DEVICEPROP_DEVICE_ID, "the device's number", CUDNN_TYPE_INT32, 1, 1, false},
    {device, CUDNN_ATTR_DEVICEPROP_HANDLE, "the handle", CUDNN_TYPE_HANDLE, 1, 1, false},
    {device, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, "the JSON", CUDNN_TYPE_CHAR, 1, many, false},
};

cudnnStatus_t bad(const std::string& words) { return refuse(CUDNN_STATUS_BAD_PARAM, words); }

cudnnStatus_t finalize_tensor(Content& c) {
    const Attribute &dims = c.at(CUDNN_ATTR_TENSOR_DIMENSIONS), &strides = c.at(CUDNN_ATTR_TENSOR_STRIDES);
    if (dims.count != strides.count) return bad("a tensor has as many strides as dimensions");
    if (dims.count != 4) return refuse(CUDNN_STATUS_NOT_SUPPORTED, "the fake has tensors of four dimensions only");
    c.tensor.id = c.at(CUDNN_ATTR_TENSOR_UNIQUE_ID).get<std::int64_t>();
    c.tensor.type = c.at(CUDNN_ATTR_TENSOR_DATA_TYPE).get<cudnnDataType_t>();
    c.tensor.alignment = c.at(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT).get<std::int64_t>();
    const auto format = format_of(c.tensor.type);
    if (!format) return refuse(CUDNN_STATUS_NOT_SUPPORTED, "the fake has float, float16 and bfloat16 tensors only");
    if (c.tensor.alignment <= 0 || c.tensor.alignment % bytes_of(*format) != 0)
        return bad("the byte alignment is not a multiple of the element's size");
    for (std::size_t d = 0; d < 4; ++d) {
        c.tensor.dims[d] = dims.get<std::int64_t>(d);
        c.tensor.strides[d] = strides.get<std::int64_t>(d);
        if (c.tensor.dims[d] <= 0 || c.tensor.strides[d] <= 0) return bad("a dimension or a stride is not positive");
    }
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t finalize_convolution(Content& c) {
    if (c.at(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS).get<std::int64_t>() != 2)
        return refuse(CUDNN_STATUS_NOT_SUPPORTED, "the fake has convolutions over two dimensions only");
    if (c.at(CUDNN_ATTR_CONVOLUTION_CONV_MODE).get<cudnnConvolutionMode_t>() != CUDNN_CROSS_CORRELATION)
        return refuse(CUDNN_STATUS_NOT_SUPPORTED, "the fake does not flip filters");
    struct Part {
        cudnnBackendAttributeName_t name;
        std::array<std::int64_t, 2>& to;
        std::int64_t least;
    };
    for (const auto& part : {Part{CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, c.convolution.before, 0},
                             Part{CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, c.convolution.after, 0},
                             Part{CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, c.convolution.stride, 1},
                             Part{CUDNN_ATTR_CONVOLUTION_DILATIONS, c.convolution.dilation, 1}}) {
        const Attribute& a = c.at(part.name);
        if (a.count != 2) return bad("a convolution over two dimensions takes two of each number");
        for (std::size_t d = 0; d < 2; ++d) {
            part.to[d] = a.get<std::int64_t>(d);
            if (part.to[d] < part.least) return bad("a padding is negative, or a stride or dilation is not positive");
        }
    }
    c.convolution.compute = c.at(CUDNN_ATTR_CONVOLUTION_COMP_TYPE).get<cudnnDataType_t>();
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t finalize_operation(Content& c) {
    struct Names {
        Direction direction;
        cudnnBackendAttributeName_t convolution, x, w, y, alpha, beta;
    };
    const Names n = c.type == forward   ? Names{Direction::forward,
                                              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
                                              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
                                              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
                                              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
                                              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
                                              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA}
                    : c.type == to_data ? Names{Direction::backward_data,
                                                CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
                                                CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
                                                CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
                                                CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
                                                CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
                                                CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA}
                                        : Names{Direction::backward_filter,
                                                CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
                                                CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
                                                CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
                                                CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
                                                CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
                                                CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA};
    const auto scale = [&](cudnnBackendAttributeName_t name, double otherwise) {
        const Attribute* a = c.find(name);
        return !a ? otherwise : a->type == CUDNN_TYPE_DOUBLE ? a->get<double>() : double(a->get<float>());
    };
    c.convolution = c.child(n.convolution).convolution;
    c.convolution.direction = n.direction;
    c.convolution.x = c.child(n.x).tensor;
    c.convolution.w = c.child(n.w).tensor;
    c.convolution.y = c.child(n.y).tensor;
    c.convolution.alpha = scale(n.alpha, 1);
    c.convolution.beta = scale(n.beta, 0);
    const std::string misfit = c.convolution.misfit();
    return misfit.empty() ? CUDNN_STATUS_SUCCESS : bad("the convolution's tensors do not fit: " + misfit);
}

cudnnStatus_t finalize_statistics(Content& c) {
    if (c.at(CUDNN_ATTR_OPERATION_GENSTATS_MODE).get<cudnnGenStatsMode_t>() != CUDNN_GENSTATS_SUM_SQSUM ||
        c.at(CUDNN_ATTR_OPERATION_GENSTATS_MATH_PREC).get<cudnnDataType_t>() != CUDNN_DATA_FLOAT)
        return refuse(CUDNN_STATUS_NOT_SUPPORTED, "the fake sums values and squares, in float");
    c.tensor = c.child(CUDNN_ATTR_OPERATION_GENSTATS_XDESC).tensor;
    for (const auto name : {CUDNN_ATTR_OPERATION_GENSTATS_SUMDESC, CUDNN_ATTR_OPERATION_GENSTATS_SQSUMDESC}) {
        const TensorLayout& sums = c.child(name).tensor;
        if (sums.type != CUDNN_DATA_FLOAT || sums.dims != std::array<std::int64_t, 4>{1, c.tensor.dims[1], 1, 1} ||
            sums.strides[1] != 1)
            return bad("sums are float, one a channel, side by side");
    }
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t finalize_graph(Content& c) {
    const Attribute& operations = c.at(CUDNN_ATTR_OPERATIONGRAPH_OPS);
    const Content& first = *operations.children.front();
    const Content* const second = operations.count == 2 ? operations.children.back().get() : nullptr;
    if ((first.type != forward && first.type != to_data && first.type != to_filter) || operations.count > 2 ||
        (second && (first.type != forward || second->type != statistics)))
        return refuse(CUDNN_STATUS_NOT_SUPPORTED_GRAPH_PATTERN,
                      "the fake runs one convolution a graph, a forward one perhaps with the sums of its result");
    c.convolution = first.convolution;
    if (!second) return CUDNN_STATUS_SUCCESS;
    if (second->tensor.id != c.convolution.y.id) return bad("the sums are not of the convolution's result");
    c.convolution.sums = true;
    c.convolution.sum = second->child(CUDNN_ATTR_OPERATION_GENSTATS_SUMDESC).tensor;
    c.convolution.squares = second->child(CUDNN_ATTR_OPERATION_GENSTATS_SQSUMDESC).tensor;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t finalize_heuristics(Content& c) {
    const Content& g = c.child(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH);
    if (!g.find(CUDNN_ATTR_OPERATIONGRAPH_HANDLE) && !c.find(CUDNN_ATTR_ENGINEHEUR_DEVICEPROP))
        return bad("heuristics need a handle in their graph, or a described device");
    c.convolution = g.convolution;
    c.offer = engines_for(c.convolution, c.at(CUDNN_ATTR_ENGINEHEUR_MODE).get<cudnnBackendHeurMode_t>());
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t finalize_engine(Content& c) {
    c.engine = c.at(CUDNN_ATTR_ENGINE_GLOBAL_INDEX).get<std::int64_t>();
    c.convolution = c.child(CUDNN_ATTR_ENGINE_OPERATION_GRAPH).convolution;
    for (const auto mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK}) {
        const auto offer = engines_for(c.convolution, mode);
        if (std::find(offer.begin(), offer.end(), c.engine) != offer.end()) return CUDNN_STATUS_SUCCESS;
    }
    return refuse(CUDNN_STATUS_NOT_SUPPORTED, "engine " + std::to_string(c.engine) + " does not do this convolution");
}

cudnnStatus_t finalize_configuration(Content& c) {
    c.engine = c.child(CUDNN_ATTR_ENGINECFG_ENGINE).engine;
    c.convolution = c.child(CUDNN_ATTR_ENGINECFG_ENGINE).convolution;
    c.knobs = knobs_of(c.engine);
    const Attribute* const chosen = c.find(CUDNN_ATTR_ENGINECFG_KNOB_CHOICES);
    for (std::size_t i = 0; chosen && i < chosen->children.size(); ++i) {
        const auto& [type, value] = chosen->children[i]->knobs.front();
        const auto own =
            std::find_if(c.knobs.begin(), c.knobs.end(), [&, t = type](const auto& k) { return k.first == t; });
        if (own == c.knobs.end()) return bad("the engine has no such knob");
        if (value < 0 || value > own->second) return bad("the knob does not go there");
        own->second = value;
    }
    return CUDNN_STATUS_SUCCESS;
}

// Engines load modules and may take memory when a plan is made of them: not while this thread captures a stream.
cudnnStatus_t finalize_plan(Content& c) {
    if (c.find(CUDNN_ATTR_EXECUTION_PLAN_HANDLE) && forbidden_in_capture() != cudaSuccess)
        return refuse(CUDNN_STATUS_EXECUTION_FAILED_CUDART, "a plan cannot be made while a stream is captured");
    if (!c.find(CUDNN_ATTR_EXECUTION_PLAN_HANDLE) && !c.find(CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP))
        return bad("a plan needs a handle or a described device");
    if (c.find(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG)) {
        c.convolution = c.child(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG).convolution;
        c.engine = c.child(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG).engine;
    } else if (const Attribute* json = c.find(CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION)) {
        const auto read = from_json(std::string(json->bytes.begin(), json->bytes.end()));
        if (!read) return refuse(CUDNN_STATUS_SERIALIZATION_VERSION_MISMATCH, "not a plan of this version");
        std::tie(c.convolution, c.engine) = *read;
    } else {
        return bad("a plan needs an engine configuration or its JSON");
    }
    if (c.engine == refused)
        return refuse(CUDNN_STATUS_NOT_SUPPORTED, "engine " + std::to_string(c.engine) + " has no kernel for this");
    c.workspace = workspace_of(c.engine, c.convolution);
    ++runtime().counts.plans_built;
    return CUDNN_STATUS_SUCCESS;
}

}  // namespace

const Rule* find_rule(cudnnBackendDescriptorType_t of, cudnnBackendAttributeName_t name) {
    const auto found =
        std::find_if(std::begin(rules), std::end(rules), [&](const Rule& r) { return r.of == of && r.name == name; });
    return found == std::end(rules) ? nullptr : found;
}

std::size_t element_size(cudnnBackendAttributeType_t type) {
    switch (type) {
        case CUDNN_TYPE_BOOLEAN:
        case CUDNN_TYPE_CHAR:
            return 1;
        case CUDNN_TYPE_HANDLE:
        case CUDNN_TYPE_VOID_PTR:
        case CUDNN_TYPE_BACKEND_DESCRIPTOR:
        case CUDNN_TYPE_INT64:
        case CUDNN_TYPE_DOUBLE:
            return 8;
        default:
            return 4;  // float, int32 and enums
    }
}

cudnnStatus_t finalize(Content& c) {
    for (const Rule& rule : rules)
        if (rule.of == c.type && rule.required && !c.find(rule.name))
            return bad(std::string("an attribute is missing: ") + rule.words);
    switch (c.type) {
        case tensor:
            return finalize_tensor(c);
        case convolution:
            return finalize_convolution(c);
        case forward:
        case to_data:
        case to_filter:
            return finalize_operation(c);
        case statistics:
            return finalize_statistics(c);
        case graph:
            return finalize_graph(c);
        case heuristics:
            return finalize_heuristics(c);
        case engine:
            return finalize_engine(c);
        case configuration:
            return finalize_configuration(c);
        case knob:
            c.knobs = {{c.at(CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE).get<cudnnBackendKnobType_t>(),
                        c.at(CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE).get<std::int64_t>()}};
            return CUDNN_STATUS_SUCCESS;
        case plan:
            return finalize_plan(c);
        case pack:
            return c.at(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS).count == c.at(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS).count
                       ? CUDNN_STATUS_SUCCESS
                       : bad("a variant pack has as many unique ids as data pointers");
        default:
            return CUDNN_STATUS_SUCCESS;
    }
}

}  // namespace holon::fake
