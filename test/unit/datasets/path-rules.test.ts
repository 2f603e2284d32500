import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isNodeError } from '../../../src/base/errors.ts'
import { checkPaths, linkFault, pathFault } from '../../../src/datasets/path-rules.ts'

const unsafe: readonly string[] = [
  '',
  '/etc/passwd',
  '../x',
  'a/../b',
  'a/./b',
  'a//b',
  'a/',
  'C:/x',
  'c:x',
  'a\\b',
  'line\nbreak',
  'esc\u001b[31m',
  '.git',
  '.GIT/config',
  '.git/hooks/post-checkout',
  'data/.Git/config',
  'git~1/config',
  'GIT~2',
  '.git./config',
  '.git /config',
  '.git. . /config',
  '.git::$INDEX_ALLOCATION/config',
  '.g\u200cit/config',
  '\u200e.git',
  '.gi\ufefft',
  'nul',
  'data/COM1.csv',
  'aux .txt',
  'not\ufffdutf8',
  'half\ud800pair',
  `${'a'.repeat(256)}`,
  Array(65).fill('d').join('/'),
  Array(20).fill('d'.repeat(60)).join('/'),
]

const safe: readonly string[] = [
  'a',
  'data/control-2026-01-01T10:00:00.csv',
  '.gitignore',
  '.gitattributes',
  '.github/x',
  'git',
  'digit~1',
  'Übersicht/ärger.csv',
  '..a',
  'a..b',
  'null.csv',
  'console/auxiliary',
  '-rf',
  'with space',
]

for (const path of unsafe) {
  test(`the path ${JSON.stringify(path.slice(0, 40))} is refused`, () => assert.ok(pathFault(path)))
}

for (const path of safe) {
  test(`the path ${JSON.stringify(path)} is allowed`, () => assert.equal(pathFault(path), undefined))
}

test('a link may point to its neighbours, up to the top of the tree and down again', () => {
  assert.equal(linkFault('a/b/link', '../c/file'), undefined)
  assert.equal(linkFault('a/b/link', '../../top'), undefined)
  assert.equal(linkFault('link', './a/b'), undefined)
  assert.equal(linkFault('link', 'a/b/'), undefined)
})

test('a link that leads out of the tree, or could do so through another link, is refused', () => {
  for (const [path, target] of [
    ['link', '/etc/passwd'],
    ['link', '..'],
    ['a/link', '../../x'],
    // Were `inner` a link to the top, its `..` would be outside although the text stays inside.
    ['p/q/link', 'inner/../x'],
    ['link', '.git/config'],
    ['link', 'C:/x'],
    ['link', ''],
  ] as const) {
    assert.ok(linkFault(path, target), `${path} -> ${target}`)
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
