// heatmap: slides a patch classifier over whole images and paints what it finds over them.
#include <holon/holon.hpp>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <map>
#include <set>
#include <sstream>

#include "pipeline/cases.hpp"
#include "pipeline/decode.hpp"
#include "pipeline/device.hpp"
#include "pipeline/interrupt.hpp"
#include "pipeline/load_whole.hpp"
#include "pipeline/options.hpp"
#include "pipeline/output.hpp"
#include "pipeline/png_out.hpp"
#include "pipeline/resize.hpp"

namespace {

using namespace holon;
using namespace holon::pipeline;

/// The share at a pixel, between the windows' centres, which lie `patch/2 + 32 i` from the top left.
double share_at(const std::vector<double>& map, int rows, int columns, double row, double column, int patch) {
    const auto along = [&](double at, int count, int& low, double& part) {
        const double place = std::clamp((at - patch / 2.0) / 32.0, 0.0, double(count - 1));
        low = std::min(int(place), std::max(count - 2, 0));
        part = count > 1 ? place - low : 0.0;
    };
    int r = 0, c = 0;
    double fr = 0, fc = 0;
    along(row, rows, r, fr);
    along(column, columns, c, fc);
    const auto value = [&](int dr, int dc) {
        return map[std::size_t(std::min(r + dr, rows - 1)) * std::size_t(columns) + std::size_t(std::min(c + dc, columns - 1))];
    };
    return (1 - fr) * ((1 - fc) * value(0, 0) + fc * value(0, 1)) + fr * ((1 - fc) * value(1, 0) + fc * value(1, 1));
}

/// Grey where the share is 0, red where it is 1.
std::vector<std::uint8_t> painted(const Image& image, const std::vector<double>& map, int rows, int columns, int patch) {
    std::vector<std::uint8_t> rgb(image.pixels.size() * 3);
    for (int y = 0; y < image.rows; ++y)
        for (int x = 0; x < image.columns; ++x) {
            const double grey = grey255(image.at(y, x));
            const double a = 0.65 * share_at(map, rows, columns, y + 0.5, x + 0.5, patch);
            std::uint8_t* to = rgb.data() + (std::size_t(y) * std::size_t(image.columns) + std::size_t(x)) * 3;
            to[0] = std::uint8_t(std::lround((1 - a) * grey + a * 255));
            to[1] = std::uint8_t(std::lround((1 - a) * grey + a * 32));
            to[2] = std::uint8_t(std::lround((1 - a) * grey));
        }
    return rgb;
}

/// Where each image's picture goes: heatmap_<name>.png, with a number behind names that several images have.
std::vector<std::string> picture_paths(const std::string& folder, const std::vector<std::string>& images) {
    std::map<std::string, int> met;
    std::set<std::string> taken;
    std::vector<std::string> paths;
    for (const std::string& image : images) {
        const std::string name = std::filesystem::path(image).stem().string();
        std::string path;
        do {
            const int number = ++met[name];
            path = text(folder, "/heatmap_", name, number > 1 ? text('_', number) : "", ".png");
        } while (!taken.insert(path).second);
        paths.push_back(std::move(path));
    }
    return paths;
}

template <Element T, Device D>
int run(Options options) {
    prepare_output(options.out);
    const SafetensorsFile file(options.checkpoint);
    expects_kind(file, "patch");
    if (options.size.empty()) options.size = metadata_value(file, "holon.image_size");
    const ImageSize size = options.image_size();
    const InputForm form = read_input_form(file.path(), file.metadata(), options.input_form);
    const std::string trained = metadata_value(file, "holon.size");
    const int patch = options.patch > 0 ? options.patch : std::atoi(trained.c_str());
    expects<DataError>(patch >= 32 && patch % 32 == 0, "--patch ", patch, ": a multiple of 32 is needed");
    expects<DataError>(size.rows >= patch && size.columns >= patch, "--size ", options.size, " is smaller than the patch of ",
                       patch, "; use a larger size");

    // The malignant classes of those that the network was trained on.
    std::vector<std::size_t> malignant;
    std::istringstream names(metadata_value(file, "holon.classes"));
    std::size_t index = 0;
    for (std::string name; std::getline(names, name, ','); ++index)
        if (name.starts_with("malignant")) malignant.push_back(index);
    expects<DataError>(!malignant.empty(), file.path(), ": knows no malignant class; there is nothing to paint");

    std::vector<std::string> images = options.images;
    if (!options.data.empty()) {
        const Dataset data = open_cases(options, folder_of(file.path()));
        for (const Record& r : data.records)
            if (options.split == "all" || split_names[std::size_t(r.split)] == options.split) images.push_back(r.image);
    }
    expects<DataError>(!images.empty(), "no images: name some, or give --data and --split");

    const std::vector<std::string> paths = picture_paths(options.out, images);
    PatchHeatmap<T, D> net(load_patch<T, D>(file), patch / 32, HeatmapActivation::softmax);
    const NoGrad no_grad;
    for (std::size_t first = 0; first < images.size() && !Interrupt::received(); first += std::size_t(options.batch)) {
        std::vector<Sample> samples;
        for (std::size_t i = first; i < std::min(images.size(), first + std::size_t(options.batch)); ++i)
            samples.push_back({resize(read_image(images[i]), size.rows, size.columns), {}});
        const auto x = network_input<T, D>(samples, size.rows, size.columns, form, false);
        const auto y = to_host(op::template convert<Accumulate<T>>(x.context(), net(x, Mode::evaluate).value()));
        const Shape s = y.shape();
        for (std::size_t i = 0; i < samples.size(); ++i) {
            std::vector<double> map(std::size_t(s.h * s.w));
            const auto* shares = y.data() + std::int64_t(i) * s.h * s.w * s.c;
            for (std::size_t at = 0; at < map.size(); ++at)
                for (const std::size_t k : malignant) map[at] += double(shares[at * std::size_t(s.c) + k]);
            const std::string& path = paths[first + i];
            write_png_rgb8(path, size.rows, size.columns, painted(samples[i].image, map, int(s.h), int(s.w), patch));
            std::cout << path << "  windows " << s.h << 'x' << s.w << "  largest malignant share "
                      << *std::max_element(map.begin(), map.end()) << '\n';
        }
    }
    return Interrupt::received() ? Interrupt::exit_code() : 0;
}

}  // namespace

int main(int argc, char** argv) {
    Options defaults;
    defaults.size.clear();
    defaults.patch = 0;
    defaults.batch = 1;
    return run_program("Paints what a patch classifier finds over whole images.", Offer::heatmap, defaults, argc, argv,
                       [](const Options& options) {
                           return with_device(options, [&]<class T, class D>() { return run<T, D>(options); });
                       });
}
