# Turns the manifests whose paths come on standard input into rows: name, TAB, version, TAB, CSV row. The caller sorts by
# the first two and cuts them off. A manifest that cannot be used is named on standard error and left out.

{
  file = $0
  if (!json_read(file)) { skip(json_error); next }
  name = text_of(SUBSEP "name")
  version = text_of(SUBSEP "version")
  if (name == "" || version == "") { skip("names no package and version"); next }
  print name "\t" version "\t" cell(name) "," cell(version) "," cell(license()) "," dependencies() "," cell(people())
}

function skip(reason) {
  print "left out: " file " " reason > "/dev/stderr"
}

# The string at a path without blanks around it, and with single blanks inside; empty where there is no string.
function text_of(path) {
  return json_kind[path] == "string" ? tidy(json_text[path]) : ""
}

function tidy(text) {
  gsub(/[ \177]+/, " ", text)
  sub(/^ /, "", text)
  sub(/ $/, "", text)
  return text
}

# RFC 4180: a cell with a comma or quote is quoted, quotes inside are doubled.
function cell(text) {
  if (text !~ /[",]/) return text
  gsub(/"/, "\"\"", text)
  return "\"" text "\""
}

function dependencies() {
  return json_kind[SUBSEP "dependencies"] == "object" ? json_size[SUBSEP "dependencies"] : 0
}

# --- Licences: today's form is a string with an SPDX expression. Old manifests have {type, url}, or a list of either
# under `licenses`, which meant a choice.

function license(    found) {
  found = licenses_at(SUBSEP "license")
  return found == "" ? licenses_at(SUBSEP "licenses") : found
}

function licenses_at(path,    i, one, all, count) {
  if (json_kind[path] != "array") return license_at(path)
  count = 0
  for (i = 0; i < json_size[path]; i++) {
    one = license_at(path SUBSEP i)
    if (one == "") continue
    all = count++ ? all " OR " one : one
  }
  return count > 1 ? "(" all ")" : all
}

function license_at(path) {
  return json_kind[path] == "object" ? text_of(path SUBSEP "type") : text_of(path)
}

# --- People: author, maintainers and contributors, each named once, in this order. Addresses are left behind.

function people(    fields, field, count, path, i) {
  split("", seen)
  everybody = ""
  count = split("author maintainers contributors", fields, " ")
  for (field = 1; field <= count; field++) {
    path = SUBSEP fields[field]
    if (json_kind[path] != "array") { person(path); continue }
    for (i = 0; i < json_size[path]; i++) person(path SUBSEP i)
  }
  return everybody
}

# A person is {name, email, url}, or a string "Name <email> (url)".
function person(path,    who) {
  if (json_kind[path] == "object") who = text_of(path SUBSEP "name")
  else { who = text_of(path); sub(/[<(].*$/, "", who) }
  gsub(/;/, ",", who)
  who = tidy(who)
  if (who == "" || who in seen) return
  seen[who] = 1
  everybody = everybody == "" ? who : everybody "; " who
}
