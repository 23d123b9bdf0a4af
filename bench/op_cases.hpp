// op_cases.hpp: every op but the convolutions, at each shape that it has in a network's training step, with the bytes
// that it has to move.
#pragma once
#include <holon/graph/softmax.hpp>
#include <holon/model/patch_classifier.hpp>
#include <holon/model/step_plan.hpp>

#include <benchmark/benchmark.h>
#include <functional>
#include <numeric>

#include "pipeline/roof.hpp"

namespace holon::bench {

using namespace pipeline;

/// One op at one shape: what it has to read and write once, and how it is run.
template <class D> struct Case {
    std::string name;
    double bytes = 0, flops = 0;
    std::function<std::function<void()>(Context<D>&)> prepare;  ///< makes operands; the result runs the op once
};

/// Image shapes that ops of a training step have, each once: see `shapes_of`.
struct Shapes {
    std::vector<Shape> normalised, residual, paired, plain, biased, pooled;
    Pool2dOptions pool;
    Shape map;  ///< the last
};

inline void put(std::vector<Shape>& all, const Shape& shape) {
    if (std::find(all.begin(), all.end(), shape) == all.end()) all.push_back(shape);
}

/// A step of `network` on `image`, walked through on `Plan`.
inline Shapes shapes_of(const std::string& network, const Shape& image) {
    auto& ledger = default_context<Plan>().state<op::plan::Ledger>();
    ledger.entries.clear();
    PatchClassifier<float, Plan> net(network, 5, 0.5, 1);
    const std::vector<int> labels(std::size_t(image.n), 0);
    cross_entropy(net(Variable<float, Plan>(Tensor<float, Plan>(image)), Mode::train), std::span<const int>(labels))
        .backward();
    Shapes shapes;
    shapes.pool = network == "vgg16"
                      ? Pool2dOptions{.window = 2}
                      : Pool2dOptions{.window = 3, .stride = 2, .padding = network == "resnet50-keras" ? 0 : 1};
    for (const auto& e : ledger.entries) {
        const double image_bytes = 4.0 * double(e.image.size());
        if (e.op == "batch_norm") put(e.bytes > 2.5 * image_bytes ? shapes.residual : shapes.normalised, e.image);
        if (e.op == "batch_norm_pair") put(shapes.paired, e.image);
        if (e.op == "relu") put(shapes.plain, e.image);
        if (e.op == "channel_sum" && e.image.h > 1) put(shapes.biased, e.image);
        if (e.op == "max_pool2d") put(shapes.pooled, e.image);
        if (e.op == "global_average") shapes.map = e.image;
    }
    ledger.entries.clear();
    return shapes;
}

/// Every op on images of element T, and every optimizer on a network's parameters.
template <class T, class D> class Cases {
    using A = Accumulate<T>;
    using Image = Tensor<T, D>;

 public:
    Cases(const std::string& network, const Shape& image) : image_(image), network_(network) {
        const Shapes shapes = shapes_of(network_, image);
        for (const Shape& s : shapes.normalised) batch_norm(s, false);
        for (const Shape& s : shapes.residual) batch_norm(s, true);
        for (const Shape& s : shapes.paired) batch_norm_pair(s);
        std::vector<Shape> elementwise = shapes.plain;
        for (const Shape& s : shapes.residual) put(elementwise, s);
        for (const Shape& s : shapes.paired) put(elementwise, s);
        for (const Shape& s : elementwise) relu_and_add(s);
        for (const Shape& s : shapes.biased) channel_sum(s);
        for (const Shape& s : shapes.pooled) max_pool(s, shapes.pool);
        average(shapes.map);
        head(shapes.map);
        converts(elementwise.empty() ? shapes.map : elementwise.front());
        dropout(shapes.map);
        warp();
        optimizers();
        sums(elementwise.empty() ? shapes.map : elementwise.front());
    }
    std::vector<Case<D>> all;

 private:
    /// Adds a case. `prepare` makes the operands and the call; `bytes` of them is counted by hand.
    void add(const std::string& op, const Shape& shape, double bytes,
             std::function<std::function<void()>(Context<D>&)> p, double flops = 0) {
        all.push_back({text(op, '/', shape), bytes, flops, std::move(p)});
    }
    static double image_bytes(const Shape& s) { return double(s.size()) * sizeof(T); }
    static op::Normalization<A, D> normalization(std::int64_t c) {
        const Shape v = vector_shape(c);
        return {random_on<A, D>(v, 1), full<A, D>(v, A(1)), random_on<A, D>(v, 2), random_on<A, D>(v, 3)};
    }

    void batch_norm(const Shape& s, bool residual) {
        const std::string form = residual ? "batch_norm+add+relu" : "batch_norm+relu";
        const double x = image_bytes(s);
        if (!residual)
            add("batch_statistics", s, x, [s](Context<D>& context) {
                return [&context, x = random_on<T, D>(s, 1), mean = full<A, D>(vector_shape(s.c), A(0)),
                        variance = full<A, D>(vector_shape(s.c), A(1))]() mutable {
                    op::batch_statistics<T>(context, x, 1e-5, {&mean, &variance});
                };
            });
        add(form, s, residual ? 3 * x : 2 * x, [s, residual](Context<D>& context) {
            return [&context, x = random_on<T, D>(s, 1), r = residual ? random_on<T, D>(s, 2) : Image(),
                    normal = normalization(s.c)] { op::batch_norm(context, x, r ? &r : nullptr, normal, true, bool(r)); };
        });
        // Sums need x and dy, then the gradients need them again: read twice, written once each. With a residual the sums
        // need the mask too, a bit an element or y, and leave its gradient, which is then read in the place of dy.
        const double mask = std::same_as<D, Cpu> ? x : x / double(8 * sizeof(T));
        add(form + " backward", s, residual ? 6 * x + mask : 5 * x, [s, residual](Context<D>& context) {
            const Shape v = vector_shape(s.c);
            const auto normal = normalization(s.c);
            const auto r = random_on<T, D>(s, 2), from = random_on<T, D>(s, 1);
            return [&context, x = from, y = op::batch_norm(context, from, residual ? &r : nullptr, normal, true, residual).mask,
                    dy = random_on<T, D>(s, 3), normal, dx = Image(s),
                    dr = residual ? Image(s) : Image(), dw = Tensor<A, D>(v), db = Tensor<A, D>(v)]() mutable {
                op::BatchNormGradients<T, D> wanted;
                wanted.x = &dx, wanted.weight = &dw, wanted.bias = &db;
                if (dr) wanted.residual = &dr;
                op::batch_norm_backward(context, x, y ? &y : nullptr, dy, normal, true, true, wanted);
            };
        });
    }

    void batch_norm_pair(const Shape& s) {
        const double x = image_bytes(s), mask = std::same_as<D, Cpu> ? x : x / double(8 * sizeof(T));
        add("batch_norm_pair+relu", s, 3 * x, [s](Context<D>& context) {
            return [&context, x = random_on<T, D>(s, 1), r = random_on<T, D>(s, 2), normal = normalization(s.c)] {
                op::batch_norm_pair(context, x, normal, r, normal, true);
            };
        });
        // The sums need both images, dy and the mask; then both gradients need them again.
        add("batch_norm_pair+relu backward", s, 8 * x + 2 * mask, [s](Context<D>& context) {
            const auto normal = normalization(s.c);
            const Shape v = vector_shape(s.c);
            const auto from = random_on<T, D>(s, 1), r = random_on<T, D>(s, 2);
            return [&context, x = from, r, normal, mask = op::batch_norm_pair(context, from, normal, r, normal, true).mask,
                    dy = random_on<T, D>(s, 3), dx = Image(s), dr = Image(s), dw = Tensor<A, D>(v), db = Tensor<A, D>(v),
                    dw_beside = Tensor<A, D>(v), db_beside = Tensor<A, D>(v)]() mutable {
                op::BatchNormGradients<T, D> wanted, beside;
                wanted.x = &dx, wanted.weight = &dw, wanted.bias = &db;
                beside.x = &dr, beside.weight = &dw_beside, beside.bias = &db_beside;
                op::batch_norm_pair_backward(context, x, normal, r, normal, mask, dy, true, wanted, beside);
            };
        });
    }

    void relu_and_add(const Shape& s) {
        const double x = image_bytes(s);
        add("relu", s, 2 * x,
            [s](Context<D>& context) { return [&context, x = random_on<T, D>(s, 1)] { op::relu(context, x); }; });
        add("relu backward", s, 3 * x, [s](Context<D>& context) {
            return [&context, y = random_on<T, D>(s, 1), dy = random_on<T, D>(s, 2), dx = Image(s)]() mutable {
                op::relu_backward(context, y, dy, dx, Gradient::assign);
            };
        });
        add("add", s, 3 * x, [s](Context<D>& context) {
            return [&context, a = random_on<T, D>(s, 1), b = random_on<T, D>(s, 2)] { op::add(context, a, b); };
        });
        add("accumulate", s, 3 * x, [s](Context<D>& context) {
            return [&context, a = random_on<T, D>(s, 1), b = random_on<T, D>(s, 2)]() mutable {
                op::accumulate(context, a, b);
            };
        });
    }

    void channel_sum(const Shape& s) {
        add("channel_sum", s, image_bytes(s), [s](Context<D>& context) {
            return [&context, dy = random_on<T, D>(s, 1), out = Tensor<A, D>(vector_shape(s.c))]() mutable {
                op::channel_sum(context, dy, out, Gradient::assign);
            };
        });
    }

    void max_pool(const Shape& s, const Pool2dOptions& pool) {
        const Shape t = op::pool2d_shape(s, pool);
        const double bytes = image_bytes(s) + image_bytes(t) + double(t.size());
        add("max_pool2d", s, bytes, [s, pool](Context<D>& context) {
            return [&context, pool, x = random_on<T, D>(s, 1)] { op::max_pool2d(context, x, pool); };
        });
        add("max_pool2d backward", s, bytes, [s, t, pool](Context<D>& context) {
            const auto pooled = op::max_pool2d(context, random_on<T, D>(s, 1), pool);
            return [&context, pool, place = pooled.place, dy = random_on<T, D>(t, 2), dx = Image(s)]() mutable {
                op::max_pool2d_backward(context, dy, place, pool, dx, Gradient::assign);
            };
        });
        const double both = image_bytes(s) + image_bytes(t);
        add("average_pool2d", s, both, [s, pool](Context<D>& context) {
            return [&context, pool, x = random_on<T, D>(s, 1)] { op::average_pool2d(context, x, pool); };
        });
        add("average_pool2d backward", s, both, [s, t, pool](Context<D>& context) {
            return [&context, pool, dy = random_on<T, D>(t, 1), dx = Image(s)]() mutable {
                op::average_pool2d_backward(context, dy, pool, dx, Gradient::assign);
            };
        });
    }

    void average(const Shape& s) {
        const Shape v{s.n, 1, 1, s.c};
        const double bytes = image_bytes(s) + image_bytes(v);
        add("global_average", s, bytes, [s](Context<D>& context) {
            return [&context, x = random_on<T, D>(s, 1)] { op::global_average(context, x); };
        });
        add("global_average backward", s, bytes, [s, v](Context<D>& context) {
            return [&context, dy = random_on<T, D>(v, 1), dx = Image(s)]() mutable {
                op::global_average_backward(context, dy, dx, Gradient::assign);
            };
        });
    }

    /// A linear layer to ImageNet's thousand classes, softmax and cross-entropy over them.
    void head(const Shape& map) {
        constexpr std::int64_t classes = 1000;
        const Shape x{map.n, 1, 1, map.c}, y{map.n, 1, 1, classes}, w{classes, 1, 1, map.c};
        const double flops = 2.0 * double(map.n) * double(map.c) * double(classes);
        const double bytes = image_bytes(x) + image_bytes(y) + double(w.size()) * sizeof(A);
        add(
            "linear", x, bytes,
            [x, w](Context<D>& context) {
                return [&context, x = random_on<T, D>(x, 1), w = random_on<A, D>(w, 2),
                        b = random_on<A, D>(vector_shape(w.n), 3)] { op::linear(context, x, w, &b); };
            },
            flops);
        add(
            "linear to input", x, bytes,
            [x, y, w](Context<D>& context) {
                return [&context, dy = random_on<T, D>(y, 1), w = random_on<A, D>(w, 2), dx = Image(x)]() mutable {
                    op::linear_backward_input(context, dy, w, dx, Gradient::assign);
                };
            },
            flops);
        add(
            "linear to weight", x, bytes,
            [x, y, w](Context<D>& context) {
                return
                    [&context, x = random_on<T, D>(x, 1), dy = random_on<T, D>(y, 2), dw = Tensor<A, D>(w)]() mutable {
                        op::linear_backward_weight(context, x, dy, dw, Gradient::assign);
                    };
            },
            flops);
        add("softmax", y, 2 * image_bytes(y),
            [y](Context<D>& context) { return [&context, x = random_on<T, D>(y, 1)] { op::softmax(context, x); }; });
        add("softmax backward", y, 3 * image_bytes(y), [y](Context<D>& context) {
            return [&context, p = random_on<T, D>(y, 1), dy = random_on<T, D>(y, 2), dx = Image(y)]() mutable {
                op::softmax_backward(context, p, dy, dx, Gradient::assign);
            };
        });
        const double logits = double(y.size()) * sizeof(A);
        std::vector<int> labels(std::size_t(y.n));
        std::iota(labels.begin(), labels.end(), 0);
        for (int& label : labels) label %= int(classes);
        add("cross_entropy", y, logits, [y, labels](Context<D>& context) {
            return [&context, labels, x = random_on<A, D>(y, 1)] { op::cross_entropy(context, x, labels, {}); };
        });
        add("cross_entropy backward", y, 2 * logits, [y, labels](Context<D>& context) {
            return [&context, labels, x = random_on<A, D>(y, 1), dy = full<A, D>({1, 1, 1, 1}, A(1)),
                    dx = Tensor<A, D>(y)]() mutable {
                op::cross_entropy_backward(context, x, labels, {}, dy, dx, Gradient::assign);
            };
        });
    }

    void converts(const Shape& s) {
        if constexpr (!std::same_as<T, A>) {
            const double bytes = double(s.size()) * (sizeof(T) + sizeof(A));
            add("convert to float", s, bytes, [s](Context<D>& context) {
                return [&context, x = random_on<T, D>(s, 1)] { op::template convert<A>(context, x); };
            });
            add("convert from float", s, bytes, [s](Context<D>& context) {
                return [&context, x = random_on<A, D>(s, 1)] { op::template convert<T>(context, x); };
            });
        }
    }

    void dropout(const Shape& s) {
        add("dropout", s, 2 * image_bytes(s), [s](Context<D>& context) {
            return [&context, x = random_on<T, D>(s, 1)] { op::dropout(context, x, op::DropoutMask{0.5, 1, 2, 0}); };
        });
        add("dropout backward", s, 2 * image_bytes(s), [s](Context<D>& context) {
            return [&context, dy = random_on<T, D>(s, 1), dx = Image(s)]() mutable {
                op::dropout_backward(context, dy, op::DropoutMask{0.5, 1, 2, 0}, dx, Gradient::assign);
            };
        });
    }

    /// The augmentation's: one grey channel to three, turned a little.
    void warp() {
        const Shape grey{image_.n, image_.h, image_.w, 1};
        const double cosine = std::cos(0.2), sine = std::sin(0.2), cy = double(grey.h) / 2, cx = double(grey.w) / 2;
        const op::Warp turned{.matrix = {cosine, -sine, sine, cosine},
                              .offset = {cy - cosine * cy + sine * cx, cx - sine * cy - cosine * cx},
                              .shift = {0.1f, 0.1f, 0.1f}};
        const std::vector<op::Warp> warps(std::size_t(grey.n), turned);
        for (const bool bilinear : {false, true}) {
            const op::WarpOptions options{.channels = 3, .bilinear = bilinear};
            add(bilinear ? "affine_warp bilinear" : "affine_warp", grey, 4 * image_bytes(grey),
                [grey, warps, options](Context<D>& context) {
                    return [&context, warps, options, x = random_on<T, D>(grey, 1)] {
                        op::affine_warp(context, x, warps, options);
                    };
                });
        }
    }

    /// All parameters of the network in one call, as a training step does.
    void optimizers() {
        std::vector<Shape> shapes;
        PatchClassifier<T, Plan> net(network_, 1000, 0.0, 1);
        VisitorFor<PatchClassifier<T, Plan>> visit;
        visit.on_parameter = [&](const std::string&, auto& p) { shapes.push_back(p.shape()); };
        visit(std::string_view(), net);
        std::int64_t count = 0;
        for (const Shape& s : shapes) count += s.size();
        struct Parameters {
            std::vector<Tensor<A, D>> gradient, value, first, second;
        };
        const auto make = [shapes] {
            auto made = std::make_shared<Parameters>();
            for (const Shape& s : shapes) {
                made->gradient.push_back(random_on<A, D>(s, 1));
                made->value.push_back(random_on<A, D>(s, 2));
                made->first.push_back(zeros<A, D>(s));
                made->second.push_back(zeros<A, D>(s));
            }
            return made;
        };
        const Shape flat = vector_shape(count);
        add("adam", flat, 7.0 * double(count) * sizeof(A), [make](Context<D>& context) {
            return [&context, parameters = make(), step = std::int64_t(0)]() mutable {
                std::vector<op::AdamOperand<A, D>> operands;
                for (std::size_t i = 0; i < parameters->value.size(); ++i)
                    operands.push_back({&parameters->gradient[i], &parameters->value[i], &parameters->first[i],
                                        &parameters->second[i], 1e-4});
                op::adam(context, std::span<const op::AdamOperand<A, D>>(operands), {.step = ++step});
            };
        });
        add("sgd", flat, 5.0 * double(count) * sizeof(A), [make](Context<D>& context) {
            return [&context, parameters = make()] {
                std::vector<op::SgdOperand<A, D>> operands;
                for (std::size_t i = 0; i < parameters->value.size(); ++i)
                    operands.push_back({&parameters->gradient[i], &parameters->value[i], &parameters->first[i], 1e-4});
                op::sgd(context, std::span<const op::SgdOperand<A, D>>(operands), {.momentum = 0.9});
            };
        });
    }

    void sums(const Shape& s) {
        const double floats = double(s.size()) * sizeof(A);
        add("scale", s, 2 * floats, [s](Context<D>& context) {
            return [&context, x = random_on<A, D>(s, 1)]() mutable { op::scale(context, x, 0.999); };
        });
        add("squared_norm", s, image_bytes(s), [s](Context<D>& context) {
            return [&context, x = random_on<T, D>(s, 1)] { benchmark::DoNotOptimize(op::squared_norm(context, x)); };
        });
        add("all_finite", s, image_bytes(s), [s](Context<D>& context) {
            return [&context, x = random_on<T, D>(s, 1)] { benchmark::DoNotOptimize(op::all_finite(context, x)); };
        });
    }

    Shape image_;
    std::string network_;
};

}  // namespace holon::bench
