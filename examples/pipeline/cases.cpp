// pipeline/cases.cpp: data opened, split and read.
#include "pipeline/cases.hpp"

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <sstream>

#include <holon/core/error.hpp>

#include "pipeline/decode.hpp"
#include "pipeline/loader.hpp"
#include "pipeline/open.hpp"
#include "pipeline/progress.hpp"
#include "pipeline/resize.hpp"
#include "pipeline/split.hpp"

namespace holon::pipeline {

std::vector<const Record*> records_of(const Dataset& data, Split split) {
    std::vector<const Record*> out;
    for (const Record& r : data.records)
        if (split == Split::none || r.split == split) out.push_back(&r);
    return out;
}

Dataset open_cases(const Options& options, const std::string& beside) {
    Dataset data = open_dataset(options.data);
    for (const std::string& notice : data.notices) std::cout << "note: " << notice << '\n';
    expects<DataError>(!data.records.empty(), "--data ", options.data, ": no images");
    const bool stated = std::any_of(data.records.begin(), data.records.end(),
                                    [](const Record& r) { return r.split != Split::none; });
    std::string from = "a new draw";
    std::string file = options.splits;
    const std::string written = options.out + "/splits.csv", with_weights = beside + "/splits.csv";
    if (file.empty() && options.resume && std::filesystem::exists(written)) file = written;
    const bool began_elsewhere = file.empty() && !beside.empty() && std::filesystem::exists(with_weights);
    if (began_elsewhere && options.fold.empty()) file = with_weights;
    if (stated) {
        expects<DataError>(options.splits.empty() && options.fold.empty(), "--data ", options.data,
                           " states its own splits; leave --splits and --fold out");
        split_patients(data, {.seed = options.seed});  // only checks that every record has one
        from = "the data's own";
    } else if (!file.empty()) {
        try {
            apply_splits(file, data);
        } catch (const DataError& error) {
            if (file != with_weights) throw;
            throw DataError(text(error.what(), ". It goes with the weights; --fold or --splits deals this data"));
        }
        from = file;
    } else if (!options.fold.empty()) {
        int fold = 0, folds = 0;
        char slash = 0, rest = 0;
        std::istringstream in(options.fold);
        expects<DataError>(in >> fold >> slash >> folds && slash == '/' && !(in >> rest) && folds >= 2 && fold >= 1 &&
                               fold <= folds,
                           "--fold ", options.fold, ": K/N is needed, with K from 1 to N and N at least 2");
        fold_patients(data, folds, fold - 1, 0.15, options.seed);
        if (began_elsewhere) expects_splits_agree(with_weights, data);
        from = text("fold ", fold, " of ", folds);
    } else {
        split_patients(data, {.seed = options.seed});
    }
    if (file != written) write_splits(written, data);
    std::cout << "splits (" << from << "):";
    for (const Split split : {Split::train, Split::validation, Split::test}) {
        int images = 0, positive = 0;
        for (const Record& r : data.records)
            if (r.split == split) ++images, positive += r.label;
        std::cout << "  " << split_names[std::size_t(split)] << ' ' << images << " images, " << positive << " malignant";
    }
    std::cout << '\n';
    if (options.train_share < 1) {
        const std::size_t images = records_of(data, Split::train).size();
        keep_training_share(data, options.train_share, options.seed);
        std::cout << "note: of " << images << " training images " << records_of(data, Split::train).size()
                  << " are left (--train-share " << options.train_share << ")\n";
    }
    return data;
}

ImageStore::ImageStore(std::vector<const Record*> records, ImageSize size, int threads, std::size_t budget)
    : records_(std::move(records)), size_(size), images_(records_.size()) {
    const std::size_t each = std::size_t(size.rows) * std::size_t(size.columns) * sizeof(std::uint16_t);
    const std::size_t kept = std::min(records_.size(), budget / each);
    Progress progress("reading images", kept);
    Loader<Image> loader(
        kept, [&](std::size_t i, Random&) { return read(i); }, {.batch = 16, .threads = threads, .shuffle = false},
        [&](std::size_t i) { return records_[i]->image; });
    loader.start(0);
    std::size_t done = 0;
    while (auto next = loader.next()) {
        for (std::size_t k = 0; k < next->items.size(); ++k) images_[next->indices[k]] = std::move(next->items[k]);
        progress.update(done += next->items.size());
    }
}

const Image& ImageStore::view(std::size_t i, Image& scratch) const {
    if (!images_[i].pixels.empty()) return images_[i];
    scratch = read(i);
    return scratch;
}

Image ImageStore::read(std::size_t i) const { return resize(read_image(records_[i]->image), size_.rows, size_.columns); }

SampleSet whole_images(const ImageStore& store) {
    SampleSet set;
    set.rows = store.image_size().rows;
    set.columns = store.image_size().columns;
    for (std::size_t i = 0; i < store.size(); ++i) {
        set.labels.push_back(store.record(i).label);
        set.names.push_back(store.record(i).image);
    }
    set.image = [&store](std::size_t i) { return store.image(i); };
    return set;
}

double mean_grey(const ImageStore& store) {
    double sum = 0, count = 0;
    Image scratch;
    for (std::size_t i = 0; i < store.size(); ++i) {
        std::uint64_t total = 0;
        const Image& image = store.view(i, scratch);
        for (const std::uint16_t pixel : image.pixels) total += pixel;
        sum += double(total);
        count += double(image.pixels.size());
    }
    return count > 0 ? sum / count * (255.0 / 65535.0) : 0;
}

void expects_split(const SampleSet& set, const Options& options, const char* split) {
    expects<DataError>(set.size() > 0, "--data ", options.data, ": no ", split,
                       " images; give it patients in that split, or choose another");
}

void expects_unseen(const std::string& folder, const std::vector<const Record*>& records) {
    const std::string path = folder + "/splits.csv";
    if (!std::filesystem::exists(path)) return;
    const Splits trained = read_splits(path);
    for (const Record* record : records) {
        const auto found = trained.find(record->patient);
        expects<DataError>(
            found == trained.end() || found->second == record->split, path, ": patient ", record->patient, " was in ",
            found == trained.end() ? "" : split_names[std::size_t(found->second)], " for this network and is in ",
            split_names[std::size_t(record->split)], " now; networks of the same splits are needed (--splits, --fold)");
    }
}

std::string folder_of(const std::string& path) {
    const std::string folder = std::filesystem::path(path).parent_path().string();
    return folder.empty() ? "." : folder;
}

}  // namespace holon::pipeline
