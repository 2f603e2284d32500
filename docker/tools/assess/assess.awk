# Measures one packages-*.csv. Standard output: three sort keys, each with a TAB, then the CSV row. The control metric goes
# to the file `control`, the insights to the file `insights`; `snapshot` is the name of what is measured.

BEGIN {
  # Licences that ask for little more than attribution, by SPDX identifier.
  count = split("0bsd afl-3.0 apache-2.0 artistic-2.0 blueoak-1.0.0 bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear " \
    "bsl-1.0 cc0-1.0 isc mit mit-0 ncsa python-2.0 unlicense wtfpl x11 zlib", names, " ")
  for (i = 1; i <= count; i++) permissive[names[i]] = 1
}

NR == 1 { next }

{
  fields($0, row)
  licence = row[3] == "" ? "none stated" : row[3]
  people = row[5] == "" ? 0 : split(row[5], ignored, "; ")
  packages++
  licences[licence]++
  dependencies[row[4]]++
  maintainers[people]++
  dependencies_in_all += row[4]
  maintainers_in_all += people
  if (row[4] + 0 > dependencies_most) dependencies_most = row[4] + 0
  if (people == 0) unmaintained++
  if (is_permissive(row[3])) permissive_packages++
}

END {
  for (value in licences) measure(1, "licence", value, licences[value])
  for (value in dependencies) measure(2, "dependencies", value, dependencies[value])
  for (value in maintainers) measure(3, "maintainers", value, maintainers[value])
  print permissive_packages + 0 > control
  printf "{\n" > insights
  printf "  \"snapshot\": \"%s\",\n", snapshot > insights
  printf "  \"packages\": %d,\n", packages > insights
  printf "  \"permissive\": %d,\n", permissive_packages > insights
  printf "  \"licences\": %d,\n", size_of(licences) > insights
  printf "  \"dependenciesMean\": %s,\n", mean(dependencies_in_all) > insights
  printf "  \"dependenciesMost\": %d,\n", dependencies_most > insights
  printf "  \"maintainersMean\": %s,\n", mean(maintainers_in_all) > insights
  printf "  \"withoutMaintainer\": %d\n", unmaintained > insights
  printf "}\n" > insights
}

# Licences come most frequent first, numbers in their own order.
function measure(section, name, value, packages_with) {
  printf "%d\t%09d\t%s\t%s,%s,%d\n", section, section == 1 ? 999999999 - packages_with : value, value, name, \
    cell(value), packages_with
}

function mean(sum) {
  return packages ? sprintf("%.2f", sum / packages) : "0"
}

function size_of(array,    key, size) {
  size = 0
  for (key in array) size++
  return size
}

function cell(text) {
  if (text !~ /[",]/) return text
  gsub(/"/, "\"\"", text)
  return "\"" text "\""
}

# fields(line, into): the cells of one CSV row (RFC 4180; `collect` writes no line breaks inside cells).
function fields(line, into,    n, end) {
  split("", into)
  n = 0
  while (1) {
    if (substr(line, 1, 1) == "\"") {
      end = 2
      # A quote that is followed by another one is part of the cell.
      while (end <= length(line) && (substr(line, end, 1) != "\"" || substr(line, end + 1, 1) == "\"")) {
        end += substr(line, end, 1) == "\"" ? 2 : 1
      }
      into[++n] = substr(line, 2, end - 2)
      gsub(/""/, "\"", into[n])
      end++
    } else {
      end = index(line ",", ",")
      into[++n] = substr(line, 1, end - 1)
    }
    if (end > length(line)) return n
    line = substr(line, end + 1)
  }
}

# --- SPDX expressions: of OR one side has to be permissive, of AND both. An exception (WITH) only widens a licence.

function is_permissive(expression) {
  gsub(/[()]/, " & ", expression)
  token_count = split(tolower(expression), tokens, " ")
  if (token_count == 0) return 0
  token_at = 1
  return any_of() && token_at > token_count
}

function any_of(    result, other) {
  result = all_of()
  while (tokens[token_at] == "or") { token_at++; other = all_of(); result = result || other }
  return result
}

function all_of(    result, other) {
  result = one_of()
  while (tokens[token_at] == "and") { token_at++; other = one_of(); result = result && other }
  return result
}

function one_of(    result) {
  if (tokens[token_at] == "(") {
    token_at++
    result = any_of()
    # A bracket that is never closed makes the expression invalid: the token after it cannot be the last.
    if (tokens[token_at] != ")") { token_at = token_count + 2; return 0 }
    token_at++
    return result
  }
  result = tokens[token_at] in permissive
  token_at++
  if (tokens[token_at] == "with") token_at += 2
  return result
}
