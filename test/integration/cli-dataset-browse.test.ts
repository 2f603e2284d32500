import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { runCommandLine } from '../../src/cli/program.ts'
import { commitFiles, startBrowsing } from '../support/browse.ts'
import { maoctl, maoctlHere } from '../support/maoctl.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const rows = (count: number) =>
  Array.from({ length: count }, (_, id) => `package-${id},1.${id},${id * 2}\n`).join('')
const PACKAGES = `package,version,stars\n${rows(270)}`
const EVIL = 'safe\r\n\u001b]0;title\u0007\u001b[31mred\tend\n'
const BYTES = Buffer.from([0, 255, 1, 254, 13, 10, 27])
const FILES = {
  'packages.csv': PACKAGES,
  'deep/er/notes.md': 'one\ntwo\n',
  'deep/link': '-> er/notes.md',
  'evil.txt': EVIL,
  'image.bin': BYTES,
}

/** As maoctlHere, but on a terminal. */
async function onTerminal(
  words: readonly string[],
  environment: Record<string, string> = {},
): Promise<string> {
  const [stdin, stderr] = [new PassThrough(), new PassThrough()]
  const stdout = Object.assign(new PassThrough(), { isTTY: true })
  const said = Promise.all([text(stdout), text(stderr)])
  await runCommandLine(words, { stdin, stdout, stderr, environment })
  stdout.end()
  stderr.end()
  return (await said).join('')
}

test('maoctl lists what a dataset holds and writes files out as they are', async (t) => {
  const { node, founding } = await startBrowsing(t, FILES)
  const data = node.config.dataDirectory
  const run = async (...words: string[]) => maoctlHere(['--data', data, 'dataset', ...words])
  const say = async (...words: string[]) => {
    const ended = await run(...words)
    assert.equal(ended.exit, 0, ended.stderr)
    return ended.stdout
  }
  assert.equal(await say('ls', 'packages'), 'deep/\nevil.txt\nimage.bin\npackages.csv\n')
  assert.equal(await say('ls', 'packages', './deep/'), 'er/\nlink\n')
  assert.equal(await say('ls', 'packages', 'deep', '--recursive'), 'er/notes.md\nlink\n')
  const long = await say('ls', 'packages', '--long')
  assert.match(long, /^TYPE +SIZE +ID +NAME\ndirectory +- +[0-9a-f]{10} +deep\/\nfile +\d+ bytes/)
  const listed = JSON.parse(await say('ls', 'packages', 'deep', '--json')) as { entries: { path: string }[] }
  assert.deepEqual(
    listed.entries.map(({ path }) => path),
    ['deep/er', 'deep/link'],
  )
  assert.match(await say('log', 'packages', '--at', founding.slice(0, 8)), new RegExp(founding.slice(0, 10)))

  assert.equal(await say('cat', 'packages', 'packages.csv'), PACKAGES)
  assert.equal(await say('cat', 'packages', 'evil.txt'), EVIL)
  assert.equal(await say('cat', 'packages', 'packages.csv', '--range', '0-6'), 'package')
  assert.equal(await say('cat', 'packages', 'packages.csv', '--range', '-4'), '538\n')
  const directory = await temporaryDirectory(t)
  const file = join(directory, 'image.bin')
  const saved = JSON.parse(await say('cat', 'packages', 'image.bin', '-o', file, '--json')) as object
  assert.deepEqual(saved, {
    name: 'packages',
    path: 'image.bin',
    commit: founding,
    file,
    bytes: BYTES.length,
  })
  assert.deepEqual(await readFile(file), BYTES)

  for (const [words, exit, said] of [
    [['ls', 'packages', 'dep'], 3, /did you mean "deep"\?/],
    [
      ['ls', 'packages', '--at', 'nobody'],
      3,
      /has no branch, member or commit "nobody"; it has ground-truth, import-alice, alice/,
    ],
    [['ls', 'package'], 3, /No dataset is named package/],
    [['cat', 'packages', 'deep'], 2, /is a directory/],
    [['cat', 'packages', 'deep/link'], 2, /is a link to "er\/notes.md", which is not followed/],
    [['cat', 'packages', 'packages.csv', '--range', '5'], 2, /no range of bytes/],
    [['cat', 'packages', 'packages.csv', '--range', '99999999-'], 2, /none in that range/],
    [['cat', 'packages', 'packages.csv', '--json'], 2, /no JSON/],
    [['cat', 'packages', 'nothing', '-o', join(directory, 'nothing')], 3, /There is no "nothing"/],
    [['cat', 'packages', 'image.bin', '-o', join(directory, 'absent/x')], 2, /does not exist/],
  ] as const) {
    const ended = await run(...words)
    assert.equal(ended.exit, exit, ended.stderr)
    assert.match(ended.stderr, said)
  }
  assert.deepEqual(await readdir(directory), ['image.bin'])
})

test("a peer's file does not steer a terminal", async (t) => {
  const { node } = await startBrowsing(t, FILES)
  const cat = ['--data', node.config.dataDirectory, 'dataset', 'cat', 'packages']
  assert.equal(await onTerminal([...cat, 'evil.txt']), 'safe\n\ufffd]0;title\ufffd\ufffd[31mred\tend\n')
  assert.equal(await onTerminal([...cat, 'evil.txt', '--raw']), EVIL)
  assert.match(await onTerminal([...cat, 'image.bin']), /image.bin is no text; write it to a file/)
  // A process of its own has a pipe in place of a terminal: its bytes are the file's.
  const piped = await maoctl([...cat, 'evil.txt'])
  assert.equal(piped.stdout, EVIL)
})

test('maoctl tells how branches differ, by rows and in sentences', async (t) => {
  const { node } = await startBrowsing(t, FILES)
  const assessed = PACKAGES.replace('package-3,1.3,6\n', '')
    .replace('package-4,1.4,8\n', '')
    .replace('package-5,1.5,10', 'package-5,1.6,10.0')
  const { 'evil.txt': _, ...kept } = FILES
  await commitFiles(t, node, 'packages', 'assess', {
    ...kept,
    'packages.csv': assessed,
    'deep/er/notes.md': 'one\nthree\u001b[31m\n',
  })
  const data = node.config.dataDirectory
  const diff = ['--data', data, 'dataset', 'diff', 'packages']
  const say = async (...words: string[]) => {
    const ended = await maoctlHere([...diff, ...words])
    assert.equal(ended.exit, 0, ended.stderr)
    return ended.stdout
  }
  const sentence = '3 of 270 rows in packages.csv (2 removed, 1 changed: version)'
  assert.equal(
    await say('assess-alice'),
    `assess-alice differs from the ground truth in 3 of 5 files: 2 lines in deep/er/notes.md (1 removed, 1 added); evil.txt removed; ${sentence}.

~ 2 lines in deep/er/notes.md (1 removed, 1 added)
    @@ -1,2 +1,2 @@
     one
    -two
    +three\ufffd[31m

- evil.txt removed

~ ${sentence}
    rows told apart by package
    - package-3: version 1.3, stars 6
    - package-4: version 1.4, stars 8
    ~ package-5: version 1.5 → 1.6, stars 10 → 10.0 (same number, other writing)
`,
  )
  assert.equal(
    await say('ground-truth', 'assess-alice', '--path', 'packages.csv', '--stat'),
    `assess-alice differs from the ground truth: ${sentence}.\n`,
  )
  assert.match(await say('assess-alice', '--limit', '1', '--path', 'packages.csv'), /… and 2 more rows/)
  assert.match(
    await say('assess-alice', '--key', 'stars', '--path', 'packages.csv'),
    /rows told apart by stars/,
  )
  const table = await say()
  assert.match(table, /alice +assess-alice +[0-9a-f]{10} +3 of 5 files: /)
  assert.match(table, /alice +import-alice +[0-9a-f]{10} +the same\n/)
  const told = JSON.parse(await say('assess-alice', 'import-alice', '--json')) as { counts: object }
  assert.deepEqual(told.counts, { added: 1, removed: 0, changed: 2, renamed: 0, unchanged: 2 })

  const coloured = await onTerminal([...diff, 'assess-alice'])
  assert.ok(coloured.includes('\u001b[31m-two\u001b[39m') && coloured.includes('\u001b[32m+three\ufffd[31m'))
  assert.ok(!(await onTerminal([...diff, 'assess-alice'], { NO_COLOR: '1' })).includes('\u001b'))
  const wrong = await maoctlHere([...diff, 'asses-alice'])
  assert.equal(wrong.exit, 3)
  assert.match(wrong.stderr, /did you mean "assess-alice"\?/)
})
