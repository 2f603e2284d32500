/** Under which names a tool finds its inputs. Pure. */

/** As `fileNameSchema` of the catalogue has it: what no shell and no file system stumbles over. */
const CHARACTERS_MAX = 200
/** An ending that belongs to the name: `.csv`, `.tar.gz`. */
const ENDING = /(?:\.[A-Za-z0-9]{1,8}){1,2}$/

export interface Nameable {
  /** What the step calls it. */
  readonly wanted?: string | undefined
  /** What it is called where it comes from. */
  readonly base: string
}

/**
 * One name each, in the same order: what the step says, else the base name of what it is. Equal ones all survive, the
 * later ones with a number (`data.csv`, `data-2.csv`); what a step says itself goes before what is only derived. Names
 * that differ in case alone count as equal, since some file systems take them for one.
 */
export function inputNames(inputs: readonly Nameable[]): string[] {
  const taken = new Set<string>()
  const names: string[] = inputs.map(() => '')
  const give = (index: number, wish: string) => {
    let name = wish
    for (let count = 2; taken.has(name.toLowerCase()); count += 1) name = numbered(wish, count)
    taken.add(name.toLowerCase())
    names[index] = name
  }
  for (const [index, { wanted }] of inputs.entries()) if (wanted !== undefined) give(index, wanted)
  for (const [index, { wanted, base }] of inputs.entries())
    if (wanted === undefined) give(index, safeName(base))
  return names
}

/** Any text as a file name: foreign characters become `_`, and it never begins with a dot. */
export function safeName(text: string): string {
  const safe = text
    .normalize('NFC')
    .replaceAll(/[^\w .+@=-]/g, '_')
    .replace(/^[^\w]+/, '')
    .trim()
  if (safe === '') return 'input'
  const ending = ENDING.exec(safe)?.[0] ?? ''
  return safe.length <= CHARACTERS_MAX ? safe : safe.slice(0, CHARACTERS_MAX - ending.length) + ending
}

/** The last part of an address's path, else its host. */
export function baseNameOf(url: URL): string {
  const last = url.pathname.split('/').findLast((part) => part !== '')
  if (last === undefined) return url.hostname
  try {
    return decodeURIComponent(last)
  } catch {
    // A lone percent sign: the name as it is written is as good.
    return last
  }
}

function numbered(name: string, count: number): string {
  const ending = ENDING.exec(name)?.[0] ?? ''
  const stem = name.slice(0, name.length - ending.length)
  const mark = `-${count}`
  // A name that is all ending has nothing to number in front of it.
  if (stem === '') return `${name.slice(0, CHARACTERS_MAX - mark.length)}${mark}`
  return `${stem.slice(0, CHARACTERS_MAX - mark.length - ending.length)}${mark}${ending}`
}
