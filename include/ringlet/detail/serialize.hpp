// L5 services: values as bytes, for another process of the same program on this machine; knows only the standard
// library. SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace ringlet::detail {

/// What stands before each message. Both processes have the same image, so there is no care for the order of bytes.
struct message_head {
  std::uint64_t meaning;  // what the bytes are; up to those who talk
  std::uint64_t size;     // of what follows. units: bytes
};

/// A message in the making.
class message_writer {
 public:
  message_writer() : bytes_(sizeof(message_head)) {}

  void add(const void* data, std::size_t size) {
    const auto* begin = static_cast<const std::byte*>(data);
    bytes_.insert(bytes_.end(), begin, begin + size);
  }

  /// The whole message, its head first.
  std::vector<std::byte> finish(std::uint64_t meaning) && noexcept {
    const message_head head{meaning, bytes_.size() - sizeof head};
    std::memcpy(bytes_.data(), &head, sizeof head);
    return std::move(bytes_);
  }

 private:
  std::vector<std::byte> bytes_;
};

[[noreturn]] void throw_cut_off();

/// Goes through what follows the head of a message.
class message_reader {
 public:
  explicit message_reader(std::span<const std::byte> content) noexcept : rest_(content) {}

  /// The next `count` times `size` bytes. errors: std::runtime_error when there are not as many.
  const std::byte* take(std::size_t count, std::size_t size = 1) {
    if (count > rest_.size() / size) throw_cut_off();
    const std::byte* const begin = rest_.data();
    rest_ = rest_.subspan(count * size);
    return begin;
  }

  std::size_t left() const noexcept { return rest_.size(); }

 private:
  std::span<const std::byte> rest_;
};

// --- What can be sent

/// Text that belongs to somebody else goes as a std::string, and arrives as one.
template <class T>
inline constexpr bool is_borrowed_text =
    std::is_same_v<T, std::string_view> || std::is_same_v<T, const char*> || std::is_same_v<T, char*>;

/// What a T arrives as.
template <class T>
using sent_as = std::conditional_t<is_borrowed_text<std::decay_t<T>>, std::string, std::decay_t<T>>;

/// Only points to what it stands for. A function is at the same address in every process of one image.
template <class T>
inline constexpr bool only_refers =
    std::is_null_pointer_v<T> || (std::is_pointer_v<T> && !std::is_function_v<std::remove_pointer_t<T>>);
template <class C>
inline constexpr bool only_refers<std::basic_string_view<C>> = true;
template <class T, std::size_t n>
inline constexpr bool only_refers<std::span<T, n>> = true;
template <class T>
inline constexpr bool only_refers<std::initializer_list<T>> = true;
template <class T>
inline constexpr bool only_refers<std::reference_wrapper<T>> = true;

/// Goes as the bytes that it is.
template <class T>
inline constexpr bool goes_as_it_is = std::is_trivially_copyable_v<T> && !only_refers<T>;

template <class T>
inline constexpr bool is_serializable = goes_as_it_is<T>;
template <class C, class Traits, class A>
inline constexpr bool is_serializable<std::basic_string<C, Traits, A>> = true;
template <class T, class A>
inline constexpr bool is_serializable<std::vector<T, A>> = is_serializable<T>;
template <class T, std::size_t n>
inline constexpr bool is_serializable<std::array<T, n>> = is_serializable<T>;
template <class T>
inline constexpr bool is_serializable<std::optional<T>> = is_serializable<T>;
template <class... T>
inline constexpr bool is_serializable<std::tuple<T...>> = (is_serializable<T> && ...);
template <class T, class U>
inline constexpr bool is_serializable<std::pair<T, U>> = is_serializable<T> && is_serializable<U>;

// --- How it is sent

/// How values of one type become bytes, and bytes values again.
template <class T>
struct serializer {
  static void put(message_writer& out, const T& value) { out.add(&value, sizeof value); }
  static T get(message_reader& in) {
    std::array<std::byte, sizeof(T)> bytes;
    std::memcpy(bytes.data(), in.take(sizeof(T)), sizeof(T));
    return std::bit_cast<T>(bytes);
  }
};

/// Of elements that lie side by side: how many, and then each, or all at once where that is the same.
template <class Sequence>
struct sequence_serializer {
  using element = typename Sequence::value_type;
  // Why not bool: a vector of them has no elements that one could point to.
  static constexpr bool at_once =
      goes_as_it_is<element> && std::default_initializable<element> && !std::is_same_v<element, bool>;

  static void put(message_writer& out, const Sequence& values) {
    serializer<std::size_t>::put(out, values.size());
    if constexpr (at_once) {
      out.add(values.data(), values.size() * sizeof(element));
    } else {
      for (const element& each : values) serializer<element>::put(out, each);
    }
  }
  static Sequence get(message_reader& in) {
    const std::size_t count = serializer<std::size_t>::get(in);
    Sequence values;
    if constexpr (at_once) {
      const std::byte* const from = in.take(count, sizeof(element));
      values.resize(count);
      if (count > 0) std::memcpy(values.data(), from, count * sizeof(element));
    } else {
      values.reserve(count < in.left() ? count : in.left());
      for (std::size_t i = 0; i < count; ++i) values.push_back(serializer<element>::get(in));
    }
    return values;
  }
};

template <class C, class Traits, class A>
struct serializer<std::basic_string<C, Traits, A>> : sequence_serializer<std::basic_string<C, Traits, A>> {};
template <class T, class A>
struct serializer<std::vector<T, A>> : sequence_serializer<std::vector<T, A>> {};

template <>
struct serializer<std::string_view> {
  static void put(message_writer& out, std::string_view text) {
    serializer<std::size_t>::put(out, text.size());
    out.add(text.data(), text.size());
  }
};

template <class T>
struct serializer<std::optional<T>> {
  static void put(message_writer& out, const std::optional<T>& value) {
    serializer<bool>::put(out, value.has_value());
    if (value) serializer<T>::put(out, *value);
  }
  static std::optional<T> get(message_reader& in) {
    if (!serializer<bool>::get(in)) return std::nullopt;
    return serializer<T>::get(in);
  }
};

/// Of types with a fixed number of parts. Why braces: what is in them is read from left to right.
template <class Whole, class... Parts>
struct parts_serializer {
  static void put([[maybe_unused]] message_writer& out, const Whole& value) {
    std::apply([&](const Parts&... parts) { (serializer<Parts>::put(out, parts), ...); }, value);
  }
  static Whole get([[maybe_unused]] message_reader& in) { return Whole{serializer<Parts>::get(in)...}; }
};

template <class... T>
struct serializer<std::tuple<T...>> : parts_serializer<std::tuple<T...>, T...> {};
template <class T, class U>
struct serializer<std::pair<T, U>> : parts_serializer<std::pair<T, U>, T, U> {};

template <class T, std::size_t n>
  requires(!goes_as_it_is<T>)
struct serializer<std::array<T, n>> {
  static void put(message_writer& out, const std::array<T, n>& values) {
    for (const T& each : values) serializer<T>::put(out, each);
  }
  static std::array<T, n> get(message_reader& in) { return get(in, std::make_index_sequence<n>()); }

 private:
  template <std::size_t... i>
  static std::array<T, n> get([[maybe_unused]] message_reader& in, std::index_sequence<i...>) {
    return {{(static_cast<void>(i), serializer<T>::get(in))...}};
  }
};

/// Adds a value, which is_serializable once it is sent_as what it is.
template <class T>
void put(message_writer& out, const T& value) {
  using sent = std::conditional_t<is_borrowed_text<std::decay_t<T>>, std::string_view, std::decay_t<T>>;
  serializer<sent>::put(out, value);
}

/// The next value.
template <class T>
T get(message_reader& in) {
  return serializer<T>::get(in);
}

}  // namespace ringlet::detail
