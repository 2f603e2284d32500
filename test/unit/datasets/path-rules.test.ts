import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { isNodeError } from '../../../src/base/errors.ts'
import { ownerOfBranch } from '../../../src/datasets/branches.ts'
import { checkPaths, faultByName, linkFault, pathFault } from '../../../src/datasets/git/path-rules.ts'

interface Vectors {
  readonly paths: { readonly safe: string[]; readonly unsafe: string[] }
  readonly links: { readonly safe: [string, string][]; readonly unsafe: [string, string][] }
  readonly branches: { readonly branch: string; readonly members: string[]; readonly owner: string | null }[]
}

const file = join(import.meta.dirname, '../../../protocols/vectors/dataset-paths.json')
const { paths, links, branches } = JSON.parse(await readFile(file, 'utf8')) as Vectors

for (const path of paths.unsafe) {
  test(`the path ${JSON.stringify(path.slice(0, 40))} is refused`, () => assert.ok(pathFault(path)))
}

for (const path of [...paths.safe]) {
  test(`the path ${JSON.stringify(path)} is allowed`, () => assert.equal(pathFault(path), undefined))
}

test('the short way for plain paths finds what all the rules find', () => {
  const parts = [
    'a',
    'B',
    '7',
    '_',
    '-',
    '.',
    '..',
    '/',
    '//',
    'git',
    '.git',
    'con',
    'COM1',
    'nul',
    'aux',
    'lpt',
    '~1',
    ':',
    ' ',
    'é',
    'ſ',
  ]
  const written = fc.array(fc.constantFrom(...parts), { maxLength: 80 }).map((some) => some.join(''))
  const check = (path: string) => assert.equal(pathFault(path), faultByName(path), path)
  fc.assert(fc.property(fc.oneof(written, fc.string()), check), { numRuns: 20_000 })
  for (const path of [...paths.safe, ...paths.unsafe]) check(path)
  for (const names of [63, 64, 65]) check(Array.from({ length: names }, () => 'a').join('/'))
})

test('half a surrogate pair, which JSON would carry and UTF-8 cannot, is refused', () => {
  assert.ok(pathFault('half\ud800pair'))
})

test('a link may point to its neighbours, up to the top of the tree and down again', () => {
  for (const [path, target] of links.safe)
    assert.equal(linkFault(path, target), undefined, `${path} -> ${target}`)
})

test('a link that leads out of the tree, or could do so through another link, is refused', () => {
  for (const [path, target] of links.unsafe) assert.ok(linkFault(path, target), `${path} -> ${target}`)
})

test('a branch belongs to the member whose name it ends in, the longest where several fit', () => {
  for (const { branch, members, owner } of branches) {
    assert.equal(ownerOfBranch(branch, members) ?? null, owner, branch)
  }
})

test('a path that is a file and a directory at once is refused, and so is one given twice', () => {
  checkPaths(['a/b/c', 'a/b/d', 'a/e', 'b'])
  for (const paths of [
    ['a', 'a/b'],
    ['a/b/c', 'a/b'],
    ['x', 'x'],
  ]) {
    assert.throws(
      () => checkPaths(paths),
      (error) => isNodeError(error, 'PATH_UNSAFE'),
    )
  }
})
