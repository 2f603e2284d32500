# A JSON reader (RFC 8259) in POSIX awk.
#
#   json_read(file)      reads one document; 1 if it is valid, else 0 with the reason in json_error
#   json_kind[path]      "object", "array", "string", "number", "true", "false", "null"; unset where there is nothing
#   json_text[path]      the text of a string (escapes resolved, UTF-8) or number
#   json_size[path]      how many members an object, or elements an array, has
#
# The document's own path is ""; below it each key and array position (from 0) follows after a SUBSEP, so that the version
# is at SUBSEP "version". Of a key that occurs twice the last one counts, as in JavaScript. Control characters in strings become spaces: what is read here ends
# in table cells, and SUBSEP stays unambiguous.
#
# How it works: no token of JSON spans two lines, so lines are taken apart one by one, which keeps awk's copying of strings
# short. `json_want` says what may come next, and a stack of open containers says where it goes.

function json_read(file,    line, status) {
  split("", json_kind); split("", json_text); split("", json_size)
  split("", json_stack_kind); split("", json_stack_path); split("", json_stack_key)
  json_error = ""
  json_depth = 0
  json_want = "value"
  json_first = 1
  while ((status = (getline line < file)) > 0) json_line(line)
  close(file)
  if (status < 0) json_fail("cannot be read")
  else if (json_want != "nothing") json_fail("ends too early")
  return json_error == ""
}

function json_fail(reason) {
  if (json_error == "") json_error = reason
}

function json_line(line,    first, length_of_token) {
  # Some editors put a byte order mark before the document.
  if (json_first) { sub(/^\357\273\277/, "", line); json_first = 0 }
  while (json_error == "") {
    sub(/^[ \t\r]+/, "", line)
    if (line == "") return
    first = substr(line, 1, 1)
    length_of_token = 1
    if (first == "{" || first == "[") json_open(first)
    else if (first == "}" || first == "]") json_close(first)
    else if (first == ",") json_comma()
    else if (first == ":") json_colon()
    else if (first == "\"") {
      length_of_token = json_string_length(line)
      if (length_of_token) json_string(json_unescape(substr(line, 2, length_of_token - 2)))
    } else if (match(line, /^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?/)) {
      length_of_token = RLENGTH
      json_scalar("number", substr(line, 1, RLENGTH))
    } else if (match(line, /^(true|false|null)/)) {
      length_of_token = RLENGTH
      json_scalar(substr(line, 1, RLENGTH), "")
    } else json_fail("has an unexpected character " first)
    line = substr(line, length_of_token + 1)
  }
}

# --- Where values go

# The path of the value that comes next: in an object under the key just read, in an array at the next position.
function json_place(    parent) {
  if (json_depth == 0) return ""
  parent = json_stack_path[json_depth]
  if (json_stack_kind[json_depth] == "array") return parent SUBSEP json_size[parent]++
  return parent SUBSEP json_stack_key[json_depth]
}

function json_accepts_value() {
  if (json_want == "value" || json_want == "value or end") return 1
  json_fail("has a value where " json_want " belongs")
  return 0
}

function json_after_value() {
  json_want = json_depth == 0 ? "nothing" : "comma or end"
}

function json_scalar(kind, text,    path) {
  if (!json_accepts_value()) return
  path = json_place()
  json_forget(path)
  json_kind[path] = kind
  json_text[path] = text
  json_after_value()
}

# An earlier value of the same key goes away with all that is in it.
function json_forget(path,    other) {
  if (!(path in json_kind)) return
  if (json_kind[path] == "object" || json_kind[path] == "array") {
    for (other in json_kind) {
      if (index(other, path SUBSEP) == 1) { delete json_kind[other]; delete json_text[other]; delete json_size[other] }
    }
  }
  delete json_kind[path]; delete json_text[path]; delete json_size[path]
}

# --- Structure

function json_open(bracket,    path) {
  if (!json_accepts_value()) return
  # A bound, so that a hostile document cannot make the stack grow without end.
  if (json_depth >= 100) { json_fail("is nested too deeply"); return }
  path = json_place()
  json_forget(path)
  json_depth++
  json_stack_path[json_depth] = path
  json_stack_kind[json_depth] = json_kind[path] = bracket == "{" ? "object" : "array"
  json_size[path] = 0
  json_want = bracket == "{" ? "key or end" : "value or end"
}

function json_close(bracket,    kind) {
  kind = bracket == "}" ? "object" : "array"
  if (json_depth == 0 || json_stack_kind[json_depth] != kind || json_want !~ /or end$/) {
    json_fail("has an unexpected " bracket)
    return
  }
  json_depth--
  json_after_value()
}

function json_comma() {
  if (json_want != "comma or end") { json_fail("has an unexpected comma"); return }
  json_want = json_stack_kind[json_depth] == "object" ? "key" : "value"
}

function json_colon() {
  if (json_want != "colon") { json_fail("has an unexpected colon"); return }
  json_want = "value"
}

# A string is a key or a value, by what is wanted.
function json_string(text,    parent) {
  if (json_want != "key" && json_want != "key or end") { json_scalar("string", text); return }
  json_stack_key[json_depth] = text
  parent = json_stack_path[json_depth]
  if (!((parent SUBSEP text) in json_kind)) json_size[parent]++
  json_want = "colon"
}

# --- Strings

# How long the string at the start of `line` is with both quotes; 0, and an error, when it does not end there.
function json_string_length(line,    from, found, before) {
  from = 2
  while ((found = index(substr(line, from), "\"")) > 0) {
    from += found
    # An odd number of backslashes before the quote makes it part of the string.
    before = from - 2
    while (substr(line, before, 1) == "\\") before--
    if ((from - 2 - before) % 2 == 0) return from - 1
  }
  json_fail("has a string that does not end on its line")
  return 0
}

function json_unescape(raw,    out, at, letter, code, low) {
  if (raw ~ /[\001-\037]/) { json_fail("has a raw control character in a string"); return "" }
  out = ""
  while ((at = index(raw, "\\")) > 0) {
    out = out substr(raw, 1, at - 1)
    letter = substr(raw, at + 1, 1)
    raw = substr(raw, at + 2)
    if (letter == "\"" || letter == "\\" || letter == "/") out = out letter
    else if (letter ~ /^[bfnrt]$/) out = out " "
    else if (letter == "u" && raw ~ /^[0-9A-Fa-f][0-9A-Fa-f][0-9A-Fa-f][0-9A-Fa-f]/) {
      code = json_hex(substr(raw, 1, 4))
      raw = substr(raw, 5)
      # Characters beyond the first 65,536 come as two halves.
      if (code >= 55296 && code <= 56319 && raw ~ /^\\u[Dd][C-Fc-f][0-9A-Fa-f][0-9A-Fa-f]/) {
        low = json_hex(substr(raw, 3, 4))
        raw = substr(raw, 7)
        code = 65536 + (code - 55296) * 1024 + (low - 56320)
      }
      out = out json_utf8(code)
    } else { json_fail("has an invalid escape in a string"); return "" }
  }
  return out raw
}

function json_hex(digits,    i, value) {
  value = 0
  for (i = 1; i <= length(digits); i++) value = value * 16 + index("0123456789abcdef", tolower(substr(digits, i, 1))) - 1
  return value
}

function json_utf8(code) {
  if (code < 32) return " "
  # A half without its other half stands for no character.
  if (code >= 55296 && code <= 57343) code = 65533
  if (code < 128) return sprintf("%c", code)
  if (code < 2048) return sprintf("%c%c", 192 + int(code / 64), 128 + code % 64)
  if (code < 65536) return sprintf("%c%c%c", 224 + int(code / 4096), 128 + int(code / 64) % 64, 128 + code % 64)
  return sprintf("%c%c%c%c", 240 + int(code / 262144), 128 + int(code / 4096) % 64, 128 + int(code / 64) % 64, 128 + code % 64)
}
