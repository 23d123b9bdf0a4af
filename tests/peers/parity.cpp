// parity: does with a network what PyTorch is asked to do with it, and copies checkpoints; parity.sh compares.
#include <iostream>

#include "peers/step.hpp"

namespace {

using namespace holon;

constexpr const char* usage =
    "parity train NETWORK float|double WEIGHTS BATCH RATE RESULTS\n"
    "    Loads WEIGHTS and three times steps Adam on BATCH (images n 3 h w in F32, labels in I64); what came of it "
    "goes to\n"
    "    RESULTS. All files are safetensors.\n"
    "parity copy NETWORK WEIGHTS COPY\n"
    "    Loads WEIGHTS, a classifier of another kind passed over, and saves them again.\n";

const TensorEntry& entry_of(const SafetensorsFile& file, const char* name) {
    const TensorEntry* found = file.find(name);
    expects<DataError>(found, file.path(), ": no ", name);
    return *found;
}

/// Classes of the head in the file; 1 where it has none.
int classes_in(const SafetensorsFile& file) {
    const TensorEntry* bias = file.find("fc.bias");
    return bias ? int(bias->shape.at(0)) : 1;
}

template <Element T> void train(const std::vector<std::string>& words) {
    const SafetensorsFile weights(words[3]), batch(words[4]);
    PatchClassifier<T, Cpu> net(words[1], classes_in(weights), 0.0, 1);
    load_network(weights, net);
    const TensorEntry& entry = entry_of(batch, "images");
    expects<DataError>(entry.shape.size() == 4, words[4], ": images must be n 3 h w");
    const auto& s = entry.shape;
    const Shape shape{s[0], s[2], s[3], s[1]};
    const Tensor<T, Cpu> images =
        from_nchw(shape, detail::read_values<T>(batch, entry, std::size_t(shape.size())).data());
    std::vector<std::int64_t> labels(std::size_t(shape.n));
    batch.read(entry_of(batch, "labels"), std::as_writable_bytes(std::span(labels)));

    const auto results =
        test::train_three_steps(net, images, std::vector<int>(labels.begin(), labels.end()), std::stod(words[5]));
    SafetensorsWriter file;
    for (const auto& [name, tensor] : results)
        file.add(name, detail::file_type<T>(), tensor.shape, std::as_bytes(std::span(tensor.values)));
    file.write(words[6]);
}

void copy(const std::vector<std::string>& words) {
    const SafetensorsFile weights(words[2]);
    PatchClassifier<float, Cpu> net(words[1], classes_in(weights), 0.0, 1);
    load_network(weights, net, {.fresh = {"fc"}, .skip = {"classifier"}});
    save(words[3], net);
}

}  // namespace

int main(int argc, char** argv) {
    const std::vector<std::string> words(argv + 1, argv + argc);
    try {
        if (words.size() == 7 && words[0] == "train" && words[2] == "float")
            train<float>(words);
        else if (words.size() == 7 && words[0] == "train" && words[2] == "double")
            train<double>(words);
        else if (words.size() == 4 && words[0] == "copy")
            copy(words);
        else
            return std::cerr << usage, 2;
    } catch (const std::exception& error) {
        std::cerr << "parity: " << error.what() << '\n';
        return 1;
    }
    return 0;
}
