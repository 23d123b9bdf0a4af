// pipeline/split.hpp: patients, never images, are dealt to train, validation and test; and the deal is kept on disk.
#pragma once
#include <cstdint>
#include <map>
#include <string>

#include "pipeline/dataset.hpp"

namespace holon::pipeline {

struct SplitOptions {
    double test = 0.15;        ///< share of all patients
    double validation = 0.10;  ///< share of the patients that are not in the test split
    std::uint64_t seed = 1;
};

/// The paper's protocol (Shen et al., Sci. Rep. 9:12495, 2019, Methods): of n patients ceil(0.15 n) are test, of the
/// rest ceil(0.10 rest) validation, drawn so that each split has its share of positive patients, within one of
/// proportional. A patient is positive if any of the patient's images is. The draw depends on the patients' names,
/// their labels and the seed, not on the order of the records.
///
/// Data that states its splits keeps them; then this only checks them. Throws `DataError` if only some images have one,
/// if a patient is in two, and if no patient is left to train on.
void split_patients(Dataset& data, SplitOptions options = {});

/// Cross-validation: the patients, stratified, in `folds` parts whose sizes differ by at most one; part `fold` (from 0)
/// is the test split and ceil(validation * rest) of the others, stratified, are the validation split. The parts depend
/// on the seed, not on `fold`. Throws `DataError` as above, for data that states its splits, and for more folds than
/// patients.
void fold_patients(Dataset& data, int folds, int fold, double validation, std::uint64_t seed);

/// Patients and the splits they are in.
using Splits = std::map<std::string, Split>;

/// The file's rows. Throws `DataError` with the line for other columns than patient and split, for a split that is not
/// train, validation or test, and for a patient listed twice.
Splits read_splits(const std::string& path);

/// Writes `patient,split`, a row a patient in the order of their names. A file that is there already and says the same
/// is left alone; one that says something else is refused, for what was tested on must never be trained on by accident.
void write_splits(const std::string& path, const Dataset& data);

/// Gives every image the split that the file has for its patient. Throws `DataError` for a patient that only one of the
/// two knows, for one listed twice, and for data that states another split.
void apply_splits(const std::string& path, Dataset& data);

/// Throws `DataError` if a patient is in another split here than in the file, which went with the weights that training
/// begins with. Patients that only one of the two knows are no matter: the weights may come from other data.
void expects_splits_agree(const std::string& path, const Dataset& data);

/// For learning curves: of the n training patients with a positive image keeps ceil(share * n), and so of those without one,
/// and drops the others' images; other splits stay whole. What a smaller share keeps, a larger keeps too;
/// which they are depends on the seed. Throws `DataError` for a share that is not above 0 and at most 1.
void keep_training_share(Dataset& data, double share, std::uint64_t seed);

}  // namespace holon::pipeline
