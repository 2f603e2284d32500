/** What the example's tools should make of package manifests, computed a second time and in another language. */
export interface Package {
  name: string
  version: string
  license: string
  dependencies: number
  people: string[]
}

type Json = Record<string, unknown>

export function packageOf(manifest: Json): Package {
  const { dependencies } = manifest
  return {
    name: tidy(manifest.name),
    version: tidy(manifest.version),
    license: licenseOf(manifest.license) || licenseOf(manifest.licenses),
    dependencies: isObject(dependencies) ? Object.keys(dependencies).length : 0,
    people: peopleOf(manifest),
  }
}

export function sorted(packages: Package[]): Package[] {
  const key = (one: Package) => Buffer.from(`${one.name}\t${one.version}`)
  return packages.toSorted((one, other) => Buffer.compare(key(one), key(other)))
}

export function csvOf(packages: Package[]): string {
  const rows = packages.map((one) => [
    one.name,
    one.version,
    one.license,
    one.dependencies,
    one.people.join('; '),
  ])
  return [['name', 'version', 'license', 'dependencies', 'maintainers'], ...rows]
    .map((row) => `${row.map(cell).join(',')}\n`)
    .join('')
}

export function assessment(packages: Package[]) {
  const licences = counts(packages.map((one) => one.license || 'none stated'))
  const dependencies = counts(packages.map((one) => one.dependencies))
  const maintainers = counts(packages.map((one) => one.people.length))
  const byFrequency = [...licences].sort((one, other) => other[1] - one[1] || (one[0] < other[0] ? -1 : 1))
  const byNumber = (map: Map<number, number>) => [...map].sort(([one], [other]) => one - other)
  const rows = [
    ...byFrequency.map(([value, n]) => ['licence', value, n] as const),
    ...byNumber(dependencies).map(([value, n]) => ['dependencies', value, n] as const),
    ...byNumber(maintainers).map(([value, n]) => ['maintainers', value, n] as const),
  ]
  const permissive = packages.filter((one) => PERMISSIVE.test(one.license)).length
  const mean = (numbers: number[]) => Number((numbers.reduce((a, b) => a + b, 0) / numbers.length).toFixed(2))
  return {
    csv: ['measure,value,packages\n', ...rows.map((row) => `${row.map(cell).join(',')}\n`)].join(''),
    permissive,
    insights: {
      packages: packages.length,
      permissive,
      licences: licences.size,
      dependenciesMean: mean(packages.map((one) => one.dependencies)),
      dependenciesMost: Math.max(...packages.map((one) => one.dependencies)),
      maintainersMean: mean(packages.map((one) => one.people.length)),
      withoutMaintainer: packages.filter((one) => one.people.length === 0).length,
    },
  }
}

// Enough for the licences of installed packages: single ones, and brackets of permissive ones alone.
const PERMISSIVE =
  /^\(?(0BSD|Apache-2\.0|BlueOak-1\.0\.0|BSD-[23]-Clause|CC0-1\.0|ISC|MIT|MIT-0|Python-2\.0|Unlicense|Zlib|WTFPL|( OR | AND ))+\)?$/

/** Control characters and blanks count as one blank; half a character counts as the sign for an unknown one. */
function tidy(value: unknown): string {
  if (typeof value !== 'string') return ''
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is meant
  const blanks = /[\x00-\x20\x7f]+/g
  return value.toWellFormed().replace(blanks, ' ').replace(/^ | $/g, '')
}

function licenseOf(value: unknown): string {
  if (!Array.isArray(value)) return tidy(isObject(value) ? value.type : value)
  const all = value.map(licenseOf).filter((one) => one !== '')
  return all.length > 1 ? `(${all.join(' OR ')})` : (all[0] ?? '')
}

function peopleOf(manifest: Json): string[] {
  const all = [manifest.author, manifest.maintainers, manifest.contributors].flat()
  const names = all.map((who) => {
    const name = isObject(who) ? tidy(who.name) : tidy(who).replace(/[<(].*$/, '')
    return tidy(name.replaceAll(';', ','))
  })
  return [...new Set(names)].filter((name) => name !== '')
}

function counts<T>(values: T[]): Map<T, number> {
  const map = new Map<T, number>()
  for (const value of values) map.set(value, (map.get(value) ?? 0) + 1)
  return map
}

function cell(value: string | number): string {
  const text = String(value)
  return /[",]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
