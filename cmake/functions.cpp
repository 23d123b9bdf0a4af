// functions.cpp: what the library holon::compiled holds besides what instances.cpp.in makes: functions that are no templates,
// and the memory of tensors.
#define HOLON_INLINE
#include <holon/checkpoint/network.hpp>
#include <holon/model/top.hpp>

namespace holon {
template class Storage<Cpu>;
template Context<Cpu>& default_context<Cpu>();
namespace detail {
template void fail<ShapeError>(const Holds&, std::initializer_list<Piece>);
template void fail<DataError>(const Holds&, std::initializer_list<Piece>);
}  // namespace detail
}  // namespace holon
