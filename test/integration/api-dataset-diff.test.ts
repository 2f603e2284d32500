import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type DiffView, diffSchema, type FileDiffView } from '../../src/api/dataset-views-diff.ts'
import { problemIn, startTestApi } from '../support/api.ts'
import { commitFiles, startBrowsing } from '../support/browse.ts'
import { eventually } from '../support/eventually.ts'
import { maoctlHere } from '../support/maoctl.ts'

const rows = (count: number) =>
  Array.from({ length: count }, (_, id) => `package-${id},1.${id},${id * 2}\n`).join('')
const PACKAGES = `package,version,stars\n${rows(270)}`
const FILES = {
  'packages.csv': PACKAGES,
  'same.csv': 'id,v\n1,1\n',
  'config.json': '{"limits":{"memory":1.0},"name":"x"}',
  'moved/from.bin': Buffer.from([0, 1, 2]),
  'old.txt': 'gone\n',
  'notes.md': 'one\ntwo\n',
  'image.bin': Buffer.from([0, 1, 2, 3]),
  'run.sh': 'echo\n',
  link: '-> notes.md',
}
const CHANGED = {
  'packages.csv': PACKAGES.replace('package-3,1.3,6\n', '')
    .replace('package-4,1.4,8\n', '')
    .replace('package-5,1.5,10', 'package-5,1.6,10'),
  'same.csv': '"id","v"\r\n1,1.0\r\n',
  'config.json': '{"name":"x","limits":{"memory":2,"cpus":1}}',
  'moved/to.bin': Buffer.from([0, 1, 2]),
  'new.txt': 'new\n',
  'notes.md': 'one\ntwo\nthree\n',
  'image.bin': Buffer.from([0, 1, 2, 4]),
  'run.sh': '#!echo\n',
  link: '-> run.sh',
}

test('two branches are compared file by file, and inside the files by rows, values and lines', async (t) => {
  const { get, node, founding } = await startBrowsing(t, FILES)
  const assessed = await commitFiles(t, node, 'packages', 'assess', CHANGED)
  const ask = async (query: string): Promise<DiffView> => {
    const answer = await get(`/datasets/packages/diff?${query}`)
    assert.equal(answer.status, 200, answer.body)
    return diffSchema.parse(JSON.parse(answer.body))
  }
  const diff = await ask('to=assess-alice')
  assert.deepEqual(diff.from, { name: 'ground-truth', commit: founding })
  assert.deepEqual(diff.to, { name: 'assess-alice', commit: assessed })
  assert.deepEqual(diff.counts, { added: 1, removed: 1, changed: 7, renamed: 1, unchanged: 0 })
  const fileAt = (path: string) => diff.files.find((file) => file.path === path) as FileDiffView
  const brief = diff.files.map(({ path, change, comparison }) =>
    [path, change, comparison?.as ?? '-'].join(' '),
  )
  assert.deepEqual(brief, [
    'config.json changed values',
    'image.bin changed whole',
    'link changed whole',
    'moved/to.bin renamed -',
    'new.txt added -',
    'notes.md changed lines',
    'old.txt removed -',
    'packages.csv changed rows',
    'run.sh changed lines',
    'same.csv changed rows',
  ])
  const packages = fileAt('packages.csv').comparison
  assert.ok(packages?.as === 'rows')
  assert.deepEqual(packages.key, ['package'])
  assert.deepEqual(packages.rows, { from: 270, to: 268, added: 0, removed: 2, changed: 1, rewritten: 0 })
  assert.deepEqual(packages.told[2], {
    change: 'changed',
    fromRow: 6,
    toRow: 4,
    key: ['package-5'],
    cells: [{ column: 'version', from: '1.5', to: '1.6' }],
  })
  assert.equal(fileAt('same.csv').sameContent, true)
  assert.equal(fileAt('moved/to.bin').previousPath, 'moved/from.bin')
  assert.equal(fileAt('old.txt').from?.size, 5)
  assert.equal(fileAt('run.sh').to?.mode, '100755')
  const config = fileAt('config.json').comparison
  assert.ok(config?.as === 'values')
  assert.deepEqual(config.told, [
    { change: 'added', pointer: '/limits/cpus', to: '1' },
    { change: 'changed', pointer: '/limits/memory', from: '1.0', to: '2' },
  ])
  assert.match(
    diff.summary,
    /^assess-alice differs from the ground truth in 10 of 10 files: 1 of 2 entries in config.json/,
  )

  const one = await ask('to=assess-alice&path=packages.csv')
  assert.equal(
    one.summary,
    'assess-alice differs from the ground truth: 3 of 270 rows in packages.csv (2 removed, 1 changed: version)',
  )
  const back = await ask(`from=${assessed}&to=ground-truth&path=packages.csv&limit=1`)
  const [file] = back.files
  assert.ok(file?.comparison?.as === 'rows')
  assert.deepEqual([file.comparison.rows.added, file.comparison.told.length], [2, 1])
  const byStars = await ask('to=assess-alice&path=packages.csv&key=stars')
  assert.ok(byStars.files[0]?.comparison?.as === 'rows')
  assert.deepEqual(byStars.files[0].comparison.key, ['stars'])

  const few = await ask('to=assess-alice&limit=2')
  const toldOf = (path: string) => {
    const found = few.files.find((one) => one.path === path)?.comparison
    return found?.as === 'lines' ? found.hunks.length : found?.as === 'whole' ? 0 : found?.told.length
  }
  assert.deepEqual(['config.json', 'notes.md', 'packages.csv'].map(toldOf), [2, 0, 0])
  assert.equal(few.summary, diff.summary)

  const same = await ask('from=import-alice&to=ground-truth')
  assert.equal(same.summary, 'the ground truth does not differ from import-alice')
  const nothing = problemIn(await get('/datasets/packages/diff?to=assess-alice&path=old.tx'))
  assert.equal(nothing.code, 'NOT_FOUND', 'a path that is nowhere is no path without a difference')
  assert.match(nothing.detail, /^Neither side has "old\.tx"; did you mean "old\.txt"\?$/)
  assert.equal((await ask('to=assess-alice&path=old.txt')).files.length, 1)
  const unknown = problemIn(await get('/datasets/packages/diff?to=assess-alice&key=package,star'))
  assert.equal(unknown.code, 'INVALID_INPUT', 'no table has the column')
  assert.match(unknown.detail, /the column star; there are .*package, version, stars/)
  const some = await ask('to=assess-alice&key=id')
  const noted = some.files.find(({ path }) => path === 'packages.csv')?.comparison
  assert.match(noted?.note ?? '', /"id" is not in both/)
  assert.ok(noted !== undefined && !('columnsThere' in noted))
  assert.equal(problemIn(await get('/datasets/packages/diff?to=nobody')).code, 'NOT_FOUND')
  assert.equal(problemIn(await get('/datasets/packages/diff?limit=x')).code, 'INVALID_INPUT')
})

test('what is too large to be compared by rows is compared as a whole, and says so', async (t) => {
  const { get, node } = await startBrowsing(t, { 'long.txt': 'x'.repeat(9_000_000), 'a.csv': 'id\n1\n' })
  await commitFiles(t, node, 'packages', 'assess', { 'long.txt': 'y'.repeat(9_000_001), 'a.csv': 'id\n2\n' })
  const { files } = diffSchema.parse(JSON.parse((await get('/datasets/packages/diff?to=assess-alice')).body))
  assert.deepEqual(
    files.map(({ comparison }) => comparison?.as),
    ['rows', 'whole'],
  )
  assert.match(files[1]?.comparison?.note ?? '', /too large to compare by lines: 9000001 bytes/)
})

test('a member is compared by its name, and where its data are not here it is said how to get them', async (t) => {
  const { get, node: alice } = await startBrowsing(t, { 'packages.csv': PACKAGES })
  const bob = await startTestApi(t, 'bob', { datasets: { follow: 'chosen' } })
  await bob.node.join((await alice.invite()).token)
  const ownView = async () => (await bob.ask('GET', '/api/v1/datasets/packages')).status === 200
  await eventually(ownView, 'bob never heard of the dataset')
  const away = problemIn(await bob.ask('GET', '/api/v1/datasets/packages/tree'))
  assert.equal(away.code, 'COMMIT_NOT_FOUND')
  assert.match(away.detail, /is not here; alice had it last: "maoctl dataset follow packages" brings it$/)
  const bobs = ['--data', bob.node.config.dataDirectory, 'dataset']
  const table = await maoctlHere([...bobs, 'diff', 'packages'])
  assert.match(table.stdout, /alice +import-alice +[0-9a-f]{10} +not here yet\n/)

  assert.equal((await maoctlHere([...bobs, 'follow', 'packages'])).exit, 0)
  const here = async () => (await bob.ask('GET', '/api/v1/datasets/packages/tree')).status === 200
  await eventually(here, 'what alice has never came to bob')
  const mine = PACKAGES.replace('package-9,1.9', 'package-9,2.0')
  const commit = await commitFiles(t, bob.node, 'packages', 'assess', { 'packages.csv': mine })
  const arrived = async () => (await get(`/datasets/packages/tree?at=${commit}`)).status === 200
  await eventually(arrived, 'what bob made never came to alice')
  // His objects may be here a moment before the word of where his branch stands.
  const compare = () => get('/datasets/packages/diff?from=alice&to=bob')
  await eventually(async () => (await compare()).status === 200, 'where bob stands never came to alice')
  const answer = await compare()
  const { summary } = diffSchema.parse(JSON.parse(answer.body))
  assert.equal(summary, 'bob differs from alice: 1 of 270 rows in packages.csv (1 changed: version)')
})
