// model/instances.hpp: the layers, networks, optimizers and checkpoints that the library holon::compiled holds; see op/instances.hpp.
#pragma once
#include <holon/checkpoint/network.hpp>
#include <holon/graph/instances.hpp>
#include <holon/layer/sequential.hpp>
#include <holon/model/whole_image.hpp>
#include <holon/optim/adam.hpp>
#include <holon/optim/sgd.hpp>

/// Layers and networks for images of elements T on device D.
#define HOLON_INSTANCES_OF_MODELS(how, T, D)                                                                           \
    how struct Conv2d<T, D>;                                                                                           \
    how struct BatchNorm2d<T, D>;                                                                                      \
    how struct Relu<T, D>;                                                                                             \
    how struct Softmax<T, D>;                                                                                          \
    how struct MaxPool2d<T, D>;                                                                                        \
    how struct AveragePool2d<T, D>;                                                                                    \
    how struct GlobalAverage<T, D>;                                                                                    \
    how struct Sequential<T, D>;                                                                                       \
    how struct Heatmap<T, D>;                                                                                          \
    how struct Bottleneck<T, D>;                                                                                       \
    how struct VggBlock<T, D>;                                                                                         \
    how struct ResNet<T, D>;                                                                                           \
    how struct Vgg16<T, D>;                                                                                            \
    how struct Trunk<T, D>;                                                                                            \
    how Trunk<T, D> make_trunk<T, D>(std::string_view, Random&);                                                       \
    how struct BottleneckRow<T, D>;                                                                                    \
    how struct Top<T, D>;                                                                                              \
    how struct PatchClassifier<T, D>;                                                                                  \
    how struct WholeImage<T, D>;                                                                                       \
    how struct PatchHeatmap<T, D>;

/// What holds parameters, statistics and moments, which are kept in A = float or double, and walks over them.
#define HOLON_INSTANCES_OF_PARAMETERS(how, A, D)                                                                       \
    how class Parameter<A, D>;                                                                                         \
    how class State<A, D>;                                                                                             \
    how class Visitor<A, D>;                                                                                           \
    how struct Linear<A, D>;                                                                                           \
    how struct Dropout<A, D>;                                                                                          \
    how class Adam<A, D>;                                                                                              \
    how class Sgd<A, D>;                                                                                               \
    how void he_normal(Parameter<A, D>&, Random&);                                                                     \
    how void glorot_uniform(Parameter<A, D>&, Random&);                                                                \
    how void constant(Parameter<A, D>&, A);                                                                            \
    how void detail::name_layers(const Members<A, D>&);                                                                \
    how void detail::set_frozen(const Members<A, D>&, const char*, std::string_view, bool, Statistics);                \
    how void detail::add_network(SafetensorsWriter&, const Members<A, D>&);                                            \
    how LoadReport detail::load_network(const SafetensorsFile&, const Members<A, D>&, const LoadOptions&);

namespace holon {
HOLON_FOR_ELEMENTS(HOLON_INSTANCES_OF_MODELS)
HOLON_FOR_ACCUMULATORS(HOLON_INSTANCES_OF_PARAMETERS)
#ifdef HOLON_COMPILED_CUDA
HOLON_INSTANCES_OF_PARAMETERS(extern template, float, Gpu)
#endif
}  // namespace holon
