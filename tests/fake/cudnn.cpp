// fake/cudnn.cpp: the fake cuDNN's functions: handles, backend descriptors, and plans that run on the fake streams.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <thread>

#include "fake/descriptor.hpp"

namespace holon::fake {
namespace {

thread_local std::string last_words;

Handles<cudnnContext>& handles() {
    static auto* const all = new Handles<cudnnContext>;
    return *all;
}
Handles<BackendDescriptor>& descriptors() {
    static auto* const all = new Handles<BackendDescriptor>;
    return *all;
}
std::shared_ptr<Content>& content_of(cudnnBackendDescriptor_t handle, const char* caller) {
    return descriptors().find(static_cast<BackendDescriptor*>(handle), caller, "cuDNN descriptor").content;
}

cudnnStatus_t bad(const std::string& words) { return refuse(CUDNN_STATUS_BAD_PARAM, words); }

std::shared_ptr<Content> finished(cudnnBackendDescriptorType_t type, const Content& like, std::int64_t engine) {
    auto made = std::make_shared<Content>();
    made->type = type;
    made->convolution = like.convolution;
    made->engine = engine;
    made->finalized = true;
    return made;
}

/// Gives at most `wanted` values, and says how many there are, or were given.
template <class T>
cudnnStatus_t give(const std::vector<T>& values, std::int64_t wanted, std::int64_t* count, void* to) {
    const auto given = to ? std::min(wanted, std::int64_t(values.size())) : 0;
    std::copy_n(values.begin(), given, static_cast<T*>(to));
    if (count) *count = wanted == 0 || !to ? std::int64_t(values.size()) : given;
    return CUDNN_STATUS_SUCCESS;
}

/// Fills descriptors of type `kind` that the caller has made.
cudnnStatus_t give(const std::vector<std::shared_ptr<Content>>& values, cudnnBackendDescriptorType_t kind,
                   std::int64_t wanted, std::int64_t* count, void* to) {
    const auto given = to ? std::min(wanted, std::int64_t(values.size())) : 0;
    for (std::int64_t i = 0; i < given; ++i) {
        auto& place = content_of(static_cast<cudnnBackendDescriptor_t*>(to)[i], "cudnnBackendGetAttribute");
        if (place->type != kind) return bad("a descriptor that is to be filled is of another type");
        place = values[std::size_t(i)];
    }
    if (count) *count = wanted == 0 || !to ? std::int64_t(values.size()) : given;
    return CUDNN_STATUS_SUCCESS;
}

/// The type of what may be read: results, and numbers that were set; none if it may not be.
std::optional<cudnnBackendAttributeType_t> type_to_read(const Content& content, cudnnBackendAttributeName_t name) {
    struct Result {
        cudnnBackendDescriptorType_t of;
        cudnnBackendAttributeName_t name;
        cudnnBackendAttributeType_t type;
    };
    static constexpr Result results[] = {
        {CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR},
        {CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR},
        {CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, CUDNN_TYPE_BACKEND_DESCRIPTOR},
        {CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR, CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE},
        {CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR, CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, CUDNN_TYPE_INT64},
        {CUDNN_BACKEND_ENGINE_DESCRIPTOR, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64},
        {CUDNN_BACKEND_ENGINE_DESCRIPTOR, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE},
        {CUDNN_BACKEND_ENGINE_DESCRIPTOR, CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE, CUDNN_TYPE_BEHAVIOR_NOTE},
        {CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64},
        {CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION, CUDNN_TYPE_CHAR},
    };
    for (const Result& r : results)
        if (r.of == content.type && r.name == name) return r.type;
    const Attribute* const set = content.find(name);
    if (!set || set->type == CUDNN_TYPE_BACKEND_DESCRIPTOR) return std::nullopt;
    return set->type;
}

struct Operand {
    const TensorLayout* layout;
    const char* name;
    void* at = nullptr;
};

cudnnStatus_t execute(cudnnContext& context, const std::shared_ptr<Content>& plan, const Content& pack) {
    const Convolution& c = plan->convolution;
    std::vector<Operand> operands{{&c.x, "x"}, {&c.w, "w"}, {&c.y, "y"}};
    if (c.sums) operands.insert(operands.end(), {{&c.sum, "sum"}, {&c.squares, "squares"}});
    const Attribute &ids = pack.at(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS),
                    &pointers = pack.at(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS);
    for (Operand& o : operands) {
        for (std::size_t i = 0; i < std::size_t(ids.count); ++i)
            if (ids.get<std::int64_t>(i) == o.layout->id) o.at = pointers.get<void*>(i);
        const std::string name = std::string("the tensor ") + o.name;
        if (!o.at) return refuse(CUDNN_STATUS_BAD_PARAM_NULL_POINTER, name + " has no pointer in the variant pack");
        if (reinterpret_cast<std::uintptr_t>(o.at) % std::uintptr_t(o.layout->alignment) != 0)
            return refuse(CUDNN_STATUS_BAD_PARAM_MISALIGNED_POINTER, name + " is not aligned as its descriptor says");
        if (!device_block_of(o.at, o.layout->span()))
            return bad(name + " is not in device memory, or its memory ends too early");
    }
    const auto bytes = std::size_t(plan->workspace);
    const Attribute* given = pack.find(CUDNN_ATTR_VARIANT_PACK_WORKSPACE);
    void* const workspace = given ? given->get<void*>() : nullptr;
    if (bytes && !workspace) return refuse(CUDNN_STATUS_BAD_PARAM_NULL_POINTER, "the plan needs a workspace");
    if (bytes && reinterpret_cast<std::uintptr_t>(workspace) % 16 != 0)
        return refuse(CUDNN_STATUS_BAD_PARAM_MISALIGNED_POINTER, "the workspace is not aligned to 16 bytes");
    if (bytes && !device_block_of(workspace, bytes))
        return bad("the workspace is not in device memory, or ends before its " + std::to_string(bytes) + " bytes");
    const int wait = runtime().settings.sums_take_ms;
    const auto work = [=] {
        const char* const me = "a convolution that was put on a stream";
        for (const Operand& o : operands) still_there(o.at, o.layout->span(), Block::device, me);
        if (bytes) still_there(workspace, bytes, Block::device, me);
        scribble(workspace, bytes);  // before and after: nothing may lie there
        compute(plan->convolution, plan->engine, operands[0].at, operands[1].at, operands[2].at);
        if (plan->convolution.sums) {
            compute_sums(plan->convolution, operands[2].at, static_cast<float*>(operands[3].at),
                         static_cast<float*>(operands[4].at));
            std::this_thread::sleep_for(std::chrono::milliseconds(wait));
        }
        scribble(workspace, bytes);
    };
    if (submit(context.stream, work, "cudnnBackendExecute"))
        return refuse(CUDNN_STATUS_EXECUTION_FAILED_CUDART, "the launch failed");
    ++runtime().counts.plans_executed;
    ++runtime().counts.executions[plan->engine];
    return CUDNN_STATUS_SUCCESS;
}

}  // namespace

cudnnStatus_t refuse(cudnnStatus_t status, const std::string& words) {
    last_words = words;
    return status;
}

cudnnContext& cudnn_context(cudnnHandle_t handle, const char* caller) {
    return handles().find(handle, caller, "cuDNN handle");
}

}  // namespace holon::fake

using namespace holon::fake;

extern "C" {

size_t CUDNNWINAPI cudnnGetVersion() {
    const int version = runtime().settings.cudnn_version;
    return version < 0 ? CUDNN_VERSION : std::size_t(version);
}
size_t CUDNNWINAPI cudnnGetCudartVersion() { return CUDART_VERSION; }

const char* CUDNNWINAPI cudnnGetErrorString(cudnnStatus_t status) {
    switch (status) {
        case CUDNN_STATUS_SUCCESS:
            return "CUDNN_STATUS_SUCCESS";
        case CUDNN_STATUS_NOT_INITIALIZED:
            return "CUDNN_STATUS_NOT_INITIALIZED";
        case CUDNN_STATUS_SERIALIZATION_VERSION_MISMATCH:
            return "CUDNN_STATUS_SERIALIZATION_VERSION_MISMATCH";
        case CUDNN_STATUS_BAD_PARAM:
            return "CUDNN_STATUS_BAD_PARAM";
        case CUDNN_STATUS_BAD_PARAM_NULL_POINTER:
            return "CUDNN_STATUS_BAD_PARAM_NULL_POINTER";
        case CUDNN_STATUS_BAD_PARAM_MISALIGNED_POINTER:
            return "CUDNN_STATUS_BAD_PARAM_MISALIGNED_POINTER";
        case CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED:
            return "CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED";
        case CUDNN_STATUS_BAD_PARAM_ATTRIBUTE_TYPE:
            return "CUDNN_STATUS_BAD_PARAM_ATTRIBUTE_TYPE";
        case CUDNN_STATUS_NOT_SUPPORTED:
            return "CUDNN_STATUS_NOT_SUPPORTED";
        case CUDNN_STATUS_NOT_SUPPORTED_GRAPH_PATTERN:
            return "CUDNN_STATUS_NOT_SUPPORTED_GRAPH_PATTERN";
        case CUDNN_STATUS_NOT_SUPPORTED_ARCH_MISMATCH:
            return "CUDNN_STATUS_NOT_SUPPORTED_ARCH_MISMATCH";
        case CUDNN_STATUS_EXECUTION_FAILED_CUDART:
            return "CUDNN_STATUS_EXECUTION_FAILED_CUDART";
        default:
            return "a status that the fake never returns";
    }
}

void CUDNNWINAPI cudnnGetLastErrorString(char* words, size_t size) {
    if (size) std::snprintf(words, size, "%s", last_words.c_str());
    last_words.clear();
}

cudnnStatus_t CUDNNWINAPI cudnnCreate(cudnnHandle_t* handle) {
    const Lock lock(runtime().mutex);
    if (ready() != cudaSuccess)
        return refuse(CUDNN_STATUS_NOT_INITIALIZED, "cudaGetDeviceCount(&count) != cudaSuccess");
    if (forbidden_in_capture() != cudaSuccess)
        return refuse(CUDNN_STATUS_NOT_INITIALIZED, "a handle takes memory, which a capture forbids");
    if (runtime().settings.compute_capability < runtime().settings.oldest_kernels)
        return refuse(CUDNN_STATUS_NOT_SUPPORTED_ARCH_MISMATCH, "the device is too old");
    *handle = handles().make();
    ++runtime().counts.handles;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t CUDNNWINAPI cudnnDestroy(cudnnHandle_t handle) {
    const Lock lock(runtime().mutex);
    cudnn_context(handle, "cudnnDestroy").destroyed = true;
    --runtime().counts.handles;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t CUDNNWINAPI cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream) {
    const Lock lock(runtime().mutex);
    stream_of(stream, "cudnnSetStream");
    cudnn_context(handle, "cudnnSetStream").stream = stream;
    return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t CUDNNWINAPI cudnnGetStream(cudnnHandle_t handle, cudaStream_t* stream) {
    const Lock lock(runtime().mutex);
    *stream = cudnn_context(handle, "cudnnGetStream").stream;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t CUDNNWINAPI cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t type,
                                                       cudnnBackendDescriptor_t* descriptor) {
    const Lock lock(runtime().mutex);
    switch (type) {
        case CUDNN_BACKEND_TENSOR_DESCRIPTOR:
        case CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR:
        case CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR:
        case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR:
        case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR:
        case CUDNN_BACKEND_OPERATION_GEN_STATS_DESCRIPTOR:
        case CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR:
        case CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR:
        case CUDNN_BACKEND_ENGINE_DESCRIPTOR:
        case CUDNN_BACKEND_ENGINECFG_DESCRIPTOR:
        case CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR:
        case CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR:
        case CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR:
        case CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR:
            break;
        default:
            return refuse(CUDNN_STATUS_NOT_SUPPORTED, "the fake has no descriptors of this type");
    }
    BackendDescriptor* const made = descriptors().make();
    made->content = std::make_shared<Content>();
    made->content->type = type;
    ++runtime().counts.descriptors;
    *descriptor = made;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t CUDNNWINAPI cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t descriptor) {
    const Lock lock(runtime().mutex);
    content_of(descriptor, "cudnnBackendDestroyDescriptor").reset();
    static_cast<BackendDescriptor*>(descriptor)->destroyed = true;
    --runtime().counts.descriptors;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t CUDNNWINAPI cudnnBackendSetAttribute(cudnnBackendDescriptor_t descriptor,
                                                   cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
                                                   int64_t count, const void* values) {
    const Lock lock(runtime().mutex);
    Content& content = *content_of(descriptor, "cudnnBackendSetAttribute");
    if (content.finalized) return bad("the descriptor is finalised");
    const Rule* const rule = find_rule(content.type, name);
    if (!rule) return bad("attribute " + std::to_string(name) + " cannot be set in this descriptor");
    const bool scale = rule->type == CUDNN_TYPE_FLOAT && type == CUDNN_TYPE_DOUBLE;  // alpha and beta may be either
    if (type != rule->type && !scale)
        return refuse(
            CUDNN_STATUS_BAD_PARAM_ATTRIBUTE_TYPE,
            std::string(rule->words) + ": of type " + std::to_string(type) + ", not " + std::to_string(rule->type));
    if (count < rule->least || count > rule->most)
        return bad(std::string(rule->words) + ": " + std::to_string(count) + " values");
    if (!values) return refuse(CUDNN_STATUS_BAD_PARAM_NULL_POINTER, std::string(rule->words) + ": a null pointer");
    Attribute a;
    a.type = type;
    a.count = count;
    if (type == CUDNN_TYPE_BACKEND_DESCRIPTOR) {
        for (std::int64_t i = 0; i < count; ++i) {
            const auto& child =
                content_of(static_cast<const cudnnBackendDescriptor_t*>(values)[i], "cudnnBackendSetAttribute");
            if (rule->child >= 0 && int(child->type) != rule->child)
                return bad(std::string(rule->words) + ": a descriptor of another type");
            if (!child->finalized)
                return refuse(CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED, std::string(rule->words) + ": not finalised");
            a.children.push_back(child);
        }
    } else {
        const char* const bytes = static_cast<const char*>(values);
        a.bytes.assign(bytes, bytes + std::size_t(count) * element_size(type));
    }
    if (type == CUDNN_TYPE_HANDLE) cudnn_context(a.get<cudnnHandle_t>(), "cudnnBackendSetAttribute");
    content.attributes[name] = std::move(a);
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t CUDNNWINAPI cudnnBackendFinalize(cudnnBackendDescriptor_t descriptor) {
    const Lock lock(runtime().mutex);
    Content& content = *content_of(descriptor, "cudnnBackendFinalize");
    if (content.finalized) return bad("the descriptor is finalised already");
    const cudnnStatus_t status = finalize(content);
    content.finalized = status == CUDNN_STATUS_SUCCESS;
    return status;
}

cudnnStatus_t CUDNNWINAPI cudnnBackendGetAttribute(cudnnBackendDescriptor_t descriptor,
                                                   cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
                                                   int64_t wanted, int64_t* count, void* to) {
    const Lock lock(runtime().mutex);
    const auto content = content_of(descriptor, "cudnnBackendGetAttribute");
    if (!content->finalized) return refuse(CUDNN_STATUS_NOT_INITIALIZED, "the descriptor is not finalised");
    const auto expected = type_to_read(*content, name);
    if (!expected) return bad("attribute " + std::to_string(name) + " cannot be read from this descriptor");
    if (type != *expected)
        return refuse(CUDNN_STATUS_BAD_PARAM_ATTRIBUTE_TYPE,
                      "attribute " + std::to_string(name) + " is of type " + std::to_string(*expected));
    switch (name) {
        case CUDNN_ATTR_ENGINEHEUR_RESULTS: {
            std::vector<std::shared_ptr<Content>> results;
            for (const std::int64_t engine : content->offer) {
                results.push_back(finished(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, *content, engine));
                results.back()->knobs = knobs_of(engine);
            }
            return give(results, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, wanted, count, to);
        }
        case CUDNN_ATTR_ENGINECFG_ENGINE:
            return give({finished(CUDNN_BACKEND_ENGINE_DESCRIPTOR, *content, content->engine)},
                        CUDNN_BACKEND_ENGINE_DESCRIPTOR, wanted, count, to);
        case CUDNN_ATTR_ENGINECFG_KNOB_CHOICES: {
            std::vector<std::shared_ptr<Content>> choices;
            for (const auto& knob : content->knobs) {
                choices.push_back(finished(CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR, *content, content->engine));
                choices.back()->knobs = {knob};
            }
            // cuDNN 9.19 does not count them beforehand: asked for none, it says that there are none.
            if (wanted == 0) choices.clear();
            return give(choices, CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR, wanted, count, to);
        }
        case CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE:
            return give(std::vector{cudnnBackendKnobType_t(content->knobs.front().first)}, wanted, count, to);
        case CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE:
            return give(std::vector{content->knobs.front().second}, wanted, count, to);
        case CUDNN_ATTR_ENGINE_GLOBAL_INDEX:
            return give(std::vector{content->engine}, wanted, count, to);
        case CUDNN_ATTR_ENGINE_NUMERICAL_NOTE:
            return give(numerical_notes(content->engine), wanted, count, to);
        case CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE:
            return give(behavior_notes(content->engine), wanted, count, to);
        case CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE:
            return give(std::vector{content->workspace}, wanted, count, to);
        case CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION: {
            const std::string json = to_json(content->convolution, content->engine);
            return give(std::vector<char>(json.begin(), json.end()), wanted, count, to);
        }
        default:
            break;
    }
    const Attribute& a = content->at(name);
    const std::int64_t given = to ? std::min(wanted, a.count) : 0;
    if (given) std::memcpy(to, a.bytes.data(), std::size_t(given) * element_size(type));
    if (count) *count = wanted == 0 || !to ? a.count : given;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t CUDNNWINAPI cudnnBackendExecute(cudnnHandle_t handle, cudnnBackendDescriptor_t plan,
                                              cudnnBackendDescriptor_t variant_pack) {
    const Lock lock(runtime().mutex);
    cudnnContext& context = cudnn_context(handle, "cudnnBackendExecute");
    const auto what = content_of(plan, "cudnnBackendExecute"), with = content_of(variant_pack, "cudnnBackendExecute");
    if (what->type != CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR || with->type != CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR)
        return bad("not a plan and a variant pack");
    if (!what->finalized || !with->finalized)
        return refuse(CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED, "the plan or the variant pack is not finalised");
    return execute(context, what, *with);
}

}  // extern "C"
