// phantom: makes a set of synthetic mammograms with lesions, masks and a manifest.
#include <CLI/CLI.hpp>
#include <iostream>

#include <holon/version.hpp>

#include "pipeline/options.hpp"
#include "pipeline/phantom.hpp"
#include "pipeline/validators.hpp"

int main(int argc, char** argv) {
    using namespace holon::pipeline;
    CLI::App app("Makes synthetic mammograms: two views a patient, half of the patients with a malignant lesion.");
    app.set_version_flag("--version", std::string("holon ") + holon::version);
    PhantomOptions options;
    Options size;
    size.size = "256x192";
    std::string out;
    app.add_option("--out", out, "folder to write to")->required();
    app.add_option("--size", size.size, "rows x columns")->capture_default_str();
    app.add_option("--train", options.train, "patients to train on")->capture_default_str();
    app.add_option("--validation", options.validation, "patients to choose on")->capture_default_str();
    app.add_option("--test", options.test, "patients to test on")->capture_default_str();
    app.add_option("--seed", options.seed, "of everything")->check(seed_range)->capture_default_str();
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : 2;
    }
    try {
        options.rows = size.image_size().rows;
        options.columns = size.image_size().columns;
        const Dataset data = write_phantoms(out, options);
        std::size_t lesions = 0;
        for (const Record& record : data.records) lesions += record.lesions.size();
        std::cout << data.records.size() << " images of " << size.size << " with " << lesions << " lesions in " << out << '\n';
        return 0;
    } catch (const std::exception& error) {
        std::cerr << "error: " << error.what() << '\n';
        return 2;
    }
}
