// The fake cuDNN through the library's own descriptors: every engine, direction and element type against plain loops.
#include <holon/op/gpu/convolution.hpp>

#include "fake/selftest/numbers.hpp"
#include "fake/selftest/runtime.hpp"

using namespace holon;
using namespace holon::test;
using gpu::Descriptor;

namespace {

struct Dnn {
    explicit Dnn(cudaStream_t stream) {
        REQUIRE(cudnnCreate(&raw) == CUDNN_STATUS_SUCCESS);
        REQUIRE(cudnnSetStream(raw, stream) == CUDNN_STATUS_SUCCESS);
    }
    ~Dnn() { cudnnDestroy(raw); }
    operator cudnnHandle_t() const { return raw; }
    cudnnHandle_t raw = nullptr;
};

/// Stride, uneven padding and dilation, all at once.
const Shape image{2, 7, 9, 3};
Conv2dOptions options() {
    Conv2dOptions o;
    o.in = 3, o.out = 4;
    o.kernel = {3, 2};
    o.stride = {2, 1};
    o.padding.top = 1, o.padding.bottom = 2, o.padding.left = 0, o.padding.right = 1;
    o.dilation = {2, 3};
    return o;
}

/// What an engine computes, in double, over n h w c and k r s c memory.
template <class T>
std::vector<double> expected(op::Direction direction, const std::vector<T>& x, const std::vector<T>& w,
                             const std::vector<T>& y) {
    const Conv2dOptions o = options();
    const Shape to = op::conv2d_shape(image, o);
    std::vector<double> out(direction == op::Direction::forward    ? y.size()
                            : direction == op::Direction::to_input ? x.size()
                                                                   : w.size());
    for (std::int64_t n = 0; n < to.n; ++n)
        for (std::int64_t k = 0; k < to.c; ++k)
            for (std::int64_t p = 0; p < to.h; ++p)
                for (std::int64_t q = 0; q < to.w; ++q)
                    for (std::int64_t c = 0; c < image.c; ++c)
                        for (std::int64_t r = 0; r < 3; ++r)
                            for (std::int64_t s = 0; s < 2; ++s) {
                                const std::int64_t i = p * 2 - 1 + r * 2, j = q + s * 3;
                                if (i < 0 || i >= image.h || j < 0 || j >= image.w) continue;
                                const auto at_x = std::size_t(((n * image.h + i) * image.w + j) * image.c + c);
                                const auto at_w = std::size_t(((k * 3 + r) * 2 + s) * image.c + c);
                                const auto at_y = std::size_t(((n * to.h + p) * to.w + q) * to.c + k);
                                const double xv = float(x[at_x]), wv = float(w[at_w]), yv = float(y[at_y]);
                                if (direction == op::Direction::forward) out[at_y] += xv * wv;
                                if (direction == op::Direction::to_input) out[at_x] += yv * wv;
                                if (direction == op::Direction::to_filter) out[at_w] += xv * yv;
                            }
    return out;
}

struct Offer {
    Descriptor configuration;
    std::int64_t engine;
    std::vector<cudnnBackendNumericalNote_t> notes;
};

std::vector<Offer> offers(cudnnHandle_t handle, op::Direction direction, cudnnDataType_t type,
                          cudnnBackendHeurMode_t mode = CUDNN_HEUR_MODE_A) {
    Descriptor graph(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    graph.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, gpu::detail::operations({direction, type, image, options()}));
    graph.set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, std::span<const cudnnHandle_t>(&handle, 1));
    graph = std::move(graph).finalize();
    std::vector<Offer> out;
    for (auto& configuration : gpu::detail::configurations({handle, nullptr, "the fake"}, graph, mode)) {
        auto engines = configuration.list(CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_BACKEND_ENGINE_DESCRIPTOR);
        REQUIRE(engines.size() == 1);
        std::vector<cudnnBackendNumericalNote_t> notes(CUDNN_NUMERICAL_NOTE_TYPE_COUNT);
        std::int64_t count = 0;
        REQUIRE(cudnnBackendGetAttribute(engines[0].raw(), CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE,
                                         std::int64_t(notes.size()), &count, notes.data()) == CUDNN_STATUS_SUCCESS);
        notes.resize(std::size_t(count));
        const std::int64_t number = engines[0].integer(CUDNN_ATTR_ENGINE_GLOBAL_INDEX);
        out.push_back({std::move(configuration), number, notes});
    }
    return out;
}

Descriptor planned(cudnnHandle_t handle, const Descriptor& configuration) {
    Descriptor plan(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
    plan.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, configuration);
    plan.set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, std::span<const cudnnHandle_t>(&handle, 1));
    return std::move(plan).finalize();
}

cudnnStatus_t execute(cudnnHandle_t handle, const Descriptor& plan, std::array<const void*, 3> at, void* workspace,
                      std::array<std::int64_t, 3> ids = {'x', 'w', 'y'}) {
    Descriptor pack(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
    pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, std::span<const std::int64_t>(ids));
    pack.set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, std::span<const void* const>(at));
    pack.set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, std::span<void* const>(&workspace, 1));
    pack = std::move(pack).finalize();
    return cudnnBackendExecute(handle, plan.raw(), pack.raw());
}

std::string words() {
    char text[256] = "";
    cudnnGetLastErrorString(text, sizeof text);
    return text;
}

}  // namespace

TEMPLATE_TEST_CASE("every engine computes what it should", "[fake]", float, float16, bfloat16) {
    using T = TestType;
    const Fresh fresh;
    fake::settings().large_workspace = 1 << 16;
    const auto direction = GENERATE(op::Direction::forward, op::Direction::to_input, op::Direction::to_filter);
    const auto mode = GENERATE(CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_B, CUDNN_HEUR_MODE_FALLBACK);
    const Stream stream;
    const Dnn dnn(stream);
    const Shape to = op::conv2d_shape(image, options());
    const auto x = normal_numbers<T>(std::size_t(image.size()), 1), w = normal_numbers<T>(4 * 3 * 2 * 3, 2),
               y = normal_numbers<T>(std::size_t(to.size()), 3);
    const auto right = expected(direction, x, w, y);
    int ran = 0;
    for (const Offer& offer : offers(dnn, direction, gpu::cudnn_type<T>(), mode)) {
        INFO("engine " << offer.engine);
        if (offer.engine == fake::refused) {
            CHECK_THROWS_WITH(planned(dnn, offer.configuration), ContainsText("NOT_SUPPORTED"));
            continue;
        }
        const Descriptor plan = planned(dnn, offer.configuration);
        const auto size = std::size_t(plan.integer(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE));
        const std::vector<T> nothing(right.size(), T(NAN));
        const OnDevice<T> dx(direction == op::Direction::to_input ? nothing : x),
            dw(direction == op::Direction::to_filter ? nothing : w),
            dy(direction == op::Direction::forward ? nothing : y);
        const OnDevice<char> workspace(size + 16);
        REQUIRE(execute(dnn, plan, {dx, dw, dy}, workspace) == CUDNN_STATUS_SUCCESS);
        const auto result = [&] {
            return direction == op::Direction::forward    ? dy.values()
                   : direction == op::Direction::to_input ? dx.values()
                                                          : dw.values();
        };
        CHECK(std::isnan(float(result()[0])));
        REQUIRE(cudaStreamSynchronize(stream) == cudaSuccess);
        const double error = apart(result(), right);
        const bool rounds =
            std::same_as<T, float> && (offer.engine == fake::tensor_core || offer.engine == fake::down_convert);
        CHECK(error < (offer.engine == fake::down_convert ? 1e-2 : rounds ? 1e-3 : one_rounding<T>()));
        if (rounds) CHECK(error > 1e-5);
        const auto scribbled = workspace.values();
        CHECK(scribbled[size] == char(0xff));  // not past its end
        if (size) CHECK(scribbled[size - 1] != char(0xff));
        CHECK(fake::counts().executions.at(offer.engine) == 1);
        ++ran;
    }
    CHECK(ran >= 1);
    CHECK(fake::counts().plans_executed == ran);
    CHECK(fake::counts().plans_built == ran);
}

TEST_CASE("alpha, beta and other layouts", "[fake]") {
    const Fresh fresh;
    const Stream stream;
    const Dnn dnn(stream);
    const cudnnHandle_t handle = dnn;
    // y = 0.5 * (x1 + 10 x2) + 2 * y for x of 1x2x1x3, its channels apart in memory; y with gaps between its pixels.
    const auto tensor = [](std::int64_t id, std::array<std::int64_t, 4> dims, std::array<std::int64_t, 4> strides) {
        Descriptor t(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
        t.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, id).set(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_DATA_FLOAT);
        t.set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, std::int64_t(4));
        t.set(CUDNN_ATTR_TENSOR_DIMENSIONS, std::span<const std::int64_t>(dims));
        t.set(CUDNN_ATTR_TENSOR_STRIDES, std::span<const std::int64_t>(strides));
        return std::move(t).finalize();
    };
    Conv2dOptions o;
    o.in = 2;
    Descriptor op(CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR);
    op.set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, gpu::detail::convolution(o));
    op.set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, tensor('x', {1, 2, 1, 3}, {6, 3, 3, 1}));
    op.set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, tensor('w', {1, 2, 1, 1}, {2, 1, 1, 1}));
    op.set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, tensor('y', {1, 1, 1, 3}, {6, 6, 6, 2}));
    op.set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, 0.5f);
    const double beta = 2;
    op.set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA, CUDNN_TYPE_DOUBLE, std::span<const double>(&beta, 1));
    Descriptor graph(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    graph.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, std::move(op).finalize());
    graph.set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, std::span<const cudnnHandle_t>(&handle, 1));
    graph = std::move(graph).finalize();
    // An engine by its number, without heuristics.
    Descriptor engine(CUDNN_BACKEND_ENGINE_DESCRIPTOR), configuration(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
    engine.set(CUDNN_ATTR_ENGINE_OPERATION_GRAPH, graph);
    engine.set(CUDNN_ATTR_ENGINE_GLOBAL_INDEX, std::int64_t(fake::fallback));
    configuration.set(CUDNN_ATTR_ENGINECFG_ENGINE, std::move(engine).finalize());
    const Descriptor plan = planned(dnn, std::move(configuration).finalize());
    const OnDevice<float> x(std::vector<float>{1, 2, 3, 4, 5, 6}), w(std::vector<float>{1, 10}),
        y(std::vector<float>{100, -1, 200, -1, 300});
    REQUIRE(execute(dnn, plan, {x, w, y}, nullptr) == CUDNN_STATUS_SUCCESS);
    REQUIRE(cudaStreamSynchronize(stream) == cudaSuccess);
    CHECK(y.values() == std::vector<float>{220.5f, -1, 426, -1, 631.5f});
}

TEST_CASE("what the heuristics offer has to be filtered", "[fake]") {
    const Fresh fresh;
    const Stream stream;
    const Dnn dnn(stream);
    const auto engines = [&](op::Direction direction, cudnnDataType_t type, cudnnBackendHeurMode_t mode) {
        std::vector<std::int64_t> out;
        for (const Offer& offer : offers(dnn, direction, type, mode)) out.push_back(offer.engine);
        return out;
    };
    using Numbers = std::vector<std::int64_t>;
    using namespace holon::fake;
    CHECK(engines(op::Direction::forward, CUDNN_DATA_FLOAT, CUDNN_HEUR_MODE_A) ==
          Numbers{tensor_core, refused, large, down_convert, plain});
    CHECK(engines(op::Direction::to_filter, CUDNN_DATA_HALF, CUDNN_HEUR_MODE_A) ==
          Numbers{tensor_core, refused, nondeterministic, large, plain});
    CHECK(engines(op::Direction::forward, CUDNN_DATA_FLOAT, CUDNN_HEUR_MODE_FALLBACK) == Numbers{fallback});
    for (const Offer& offer : offers(dnn, op::Direction::to_filter, CUDNN_DATA_FLOAT)) {
        using Notes = std::vector<cudnnBackendNumericalNote_t>;
        if (offer.engine == tensor_core) CHECK(offer.notes == Notes{CUDNN_NUMERICAL_NOTE_TENSOR_CORE});
        if (offer.engine == nondeterministic) CHECK(offer.notes == Notes{CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC});
        if (offer.engine == plain) CHECK(offer.notes.empty());
        if (offer.engine == large)
            CHECK(planned(dnn, offer.configuration).integer(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE) == 1 << 30);
    }
    settings().no_engines = true;
    CHECK(offers(dnn, op::Direction::forward, CUDNN_DATA_FLOAT).empty());
    CHECK_THROWS_WITH(gpu::plan_convolution({dnn, nullptr, "the fake"},
                                            {op::Direction::forward, CUDNN_DATA_FLOAT, image, options()}, 1 << 20),
                      ContainsText("float32") && ContainsText("no cuDNN engine") && ContainsText("the heuristics offer none"));
}

TEST_CASE("a plan that is executed wrongly is refused with words", "[fake]") {
    const Fresh fresh;
    const Stream stream;
    const Dnn dnn(stream);
    const Descriptor plan = planned(dnn, offers(dnn, op::Direction::forward, CUDNN_DATA_FLOAT).back().configuration);
    const auto size = std::size_t(plan.integer(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE));
    const OnDevice<float> x(std::size_t(image.size())), w(4 * 3 * 2 * 3 + 4),
        y(std::size_t(op::conv2d_shape(image, options()).size()));
    const OnDevice<char> workspace(size), small(size - 1);
    CHECK(execute(dnn, plan, {x, w, y}, nullptr) == CUDNN_STATUS_BAD_PARAM_NULL_POINTER);
    CHECK(words() == "the plan needs a workspace");
    CHECK(execute(dnn, plan, {x, w, y}, small) == CUDNN_STATUS_BAD_PARAM);
    CHECK_THAT(words(), ContainsText("the workspace is not in device memory, or ends before its"));
    CHECK(execute(dnn, plan, {x, static_cast<float*>(w) + 1, y}, workspace) ==
          CUDNN_STATUS_BAD_PARAM_MISALIGNED_POINTER);
    CHECK(words() == "the tensor w is not aligned as its descriptor says");
    CHECK(execute(dnn, plan, {x, w, y}, workspace, {'x', 'w', 'z'}) == CUDNN_STATUS_BAD_PARAM_NULL_POINTER);
    CHECK(words() == "the tensor y has no pointer in the variant pack");
    CHECK(execute(dnn, plan, {x, w, w}, workspace) == CUDNN_STATUS_BAD_PARAM);
    CHECK_THAT(words(), ContainsText("its memory ends too early"));
    CHECK(execute(dnn, plan, {x, w, y}, workspace) == CUDNN_STATUS_SUCCESS);
    CHECK(cudaDeviceSynchronize() == cudaSuccess);
}

TEST_CASE("descriptors that are not valid are refused with words", "[fake]") {
    const Fresh fresh;
    Descriptor tensor(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    const float f = 1;
    std::int64_t count = 0;
    CHECK_THROWS_WITH(tensor.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, f),
                      ContainsText("CUDNN_STATUS_BAD_PARAM_ATTRIBUTE_TYPE: the unique id"));
    CHECK_THROWS_WITH(tensor.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, std::span<const std::int64_t>(std::array{1L, 2L})),
                      ContainsText("CUDNN_STATUS_BAD_PARAM: the unique id: 2 values"));
    CHECK_THROWS_WITH(tensor.set(CUDNN_ATTR_ENGINE_GLOBAL_INDEX, std::int64_t(1)), ContainsText("cannot be set"));
    CHECK(cudnnBackendGetAttribute(tensor.raw(), CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 0, &count, nullptr) ==
          CUDNN_STATUS_NOT_INITIALIZED);
    tensor.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, std::int64_t(1));
    CHECK_THROWS_WITH(std::move(tensor).finalize(), ContainsText("an attribute is missing: the data type"));

    const auto good = gpu::detail::tensor('x', CUDNN_DATA_FLOAT, {1, 8, 8, 2});
    std::array<std::int64_t, 4> dims{};
    REQUIRE(cudnnBackendGetAttribute(good.raw(), CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 2, &count,
                                     dims.data()) == CUDNN_STATUS_SUCCESS);
    CHECK(count == 2);
    CHECK(dims[1] == 2);
    CHECK(cudnnBackendFinalize(good.raw()) == CUDNN_STATUS_BAD_PARAM);

    const auto with_tensors = [&](const Shape& x, const Shape& w, const Shape& y) {
        Descriptor op(CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR);
        op.set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, gpu::detail::convolution(options()));
        op.set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, gpu::detail::tensor('x', CUDNN_DATA_FLOAT, x));
        op.set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, gpu::detail::tensor('w', CUDNN_DATA_FLOAT, w));
        op.set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, gpu::detail::tensor('y', CUDNN_DATA_FLOAT, y));
        std::move(op).finalize();
    };
    const Shape filter = op::filter_shape(options()), to = op::conv2d_shape(image, options());
    with_tensors(image, filter, to);
    CHECK_THROWS_WITH(with_tensors(image, filter, {to.n, to.h + 1, to.w, to.c}),
                      ContainsText("along spatial dimension 0 where the convolution gives"));
    CHECK_THROWS_WITH(with_tensors({2, 7, 9, 2}, filter, to), ContainsText("different numbers of channels"));

    Descriptor op(CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR);
    CHECK_THROWS_WITH(op.set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, Descriptor(CUDNN_BACKEND_TENSOR_DESCRIPTOR)),
                      ContainsText("not finalised"));
    CHECK_THROWS_WITH(op.set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, good),
                      ContainsText("a descriptor of another type"));
}

TEST_CASE("a plan travels as JSON", "[fake]") {
    const Fresh fresh;
    const Stream stream;
    const Dnn dnn(stream);
    const auto x = normal_numbers<float>(std::size_t(image.size()), 1), w = normal_numbers<float>(4 * 3 * 2 * 3, 2);
    const OnDevice<float> dx(x), dw(w), first(std::size_t(op::conv2d_shape(image, options()).size())),
        second(first.count);
    const Descriptor plan =
        planned(dnn, offers(dnn, op::Direction::forward, CUDNN_DATA_FLOAT, CUDNN_HEUR_MODE_FALLBACK)[0].configuration);
    REQUIRE(execute(dnn, plan, {dx, dw, first}, nullptr) == CUDNN_STATUS_SUCCESS);
    std::int64_t count = 0;
    REQUIRE(cudnnBackendGetAttribute(plan.raw(), CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, 0,
                                     &count, nullptr) == CUDNN_STATUS_SUCCESS);
    std::string json(std::size_t(count), ' ');
    REQUIRE(cudnnBackendGetAttribute(plan.raw(), CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, count,
                                     &count, json.data()) == CUDNN_STATUS_SUCCESS);
    const auto read = [&](const std::string& text) {
        const cudnnHandle_t handle = dnn;
        Descriptor again(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
        again.set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, std::span<const cudnnHandle_t>(&handle, 1));
        again.set(CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION, CUDNN_TYPE_CHAR,
                  std::span<const char>(text.data(), text.size()));
        return std::move(again).finalize();
    };
    REQUIRE(execute(dnn, read(json), {dx, dw, second}, nullptr) == CUDNN_STATUS_SUCCESS);
    REQUIRE(cudaDeviceSynchronize() == cudaSuccess);
    CHECK(first.values() == second.values());
    CHECK_THROWS_WITH(read(json.substr(0, json.size() / 2)), ContainsText("not a plan of this version"));
    fake::settings().cudnn_version = 91100;
    CHECK(gpu::cudnn_version_text() == "9.11.0");
    CHECK_THROWS_WITH(read(json), ContainsText("not a plan of this version"));
}

TEST_CASE("a convolution in a graph runs at each launch", "[fake]") {
    const Fresh fresh;
    const Stream stream;
    const Dnn dnn(stream);
    const auto x = normal_numbers<float>(std::size_t(image.size()), 1), w = normal_numbers<float>(4 * 3 * 2 * 3, 2);
    const OnDevice<float> dx(x), dw(w), y(std::size_t(op::conv2d_shape(image, options()).size()));
    const Descriptor plan =
        planned(dnn, offers(dnn, op::Direction::forward, CUDNN_DATA_FLOAT, CUDNN_HEUR_MODE_FALLBACK)[0].configuration);
    cudaGraph_t graph;
    cudaGraphExec_t executable;
    REQUIRE(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal) == cudaSuccess);
    REQUIRE(execute(dnn, plan, {dx, dw, y}, nullptr) == CUDNN_STATUS_SUCCESS);
    REQUIRE(cudaStreamEndCapture(stream, &graph) == cudaSuccess);
    REQUIRE(cudaGraphInstantiate(&executable, graph, 0) == cudaSuccess);
    for (int i = 0; i < 2; ++i) {
        REQUIRE(cudaMemsetAsync(y, 0xff, y.count * sizeof(float), stream) == cudaSuccess);
        REQUIRE(cudaGraphLaunch(executable, stream) == cudaSuccess);
        REQUIRE(cudaStreamSynchronize(stream) == cudaSuccess);
        CHECK(apart(y.values(), expected(op::Direction::forward, x, w, std::vector<float>(y.count))) < 1e-6);
    }
    CHECK(cudaGraphExecDestroy(executable) == cudaSuccess);
    CHECK(cudaGraphDestroy(graph) == cudaSuccess);
}

TEST_CASE("where there is no device there is no handle", "[fake]") {
    const Fresh fresh;
    fake::settings().devices = 0;
    cudnnHandle_t handle = nullptr;
    CHECK(cudnnCreate(&handle) == CUDNN_STATUS_NOT_INITIALIZED);
    CHECK(words() == "cudaGetDeviceCount(&count) != cudaSuccess");
    fake::reset();
    fake::settings().compute_capability = 700;
    CHECK(cudnnCreate(&handle) == CUDNN_STATUS_NOT_SUPPORTED_ARCH_MISMATCH);
}
