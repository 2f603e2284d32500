import assert from 'node:assert/strict'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { Counting } from '../../src/consensus/counting.ts'
import { storeFiles } from '../../src/consensus/merging.ts'
import type { Ballot } from '../../src/consensus/records.ts'
import { objectId } from '../../src/datasets/git/git-objects.ts'
import { type Method, methodSchema } from '../../src/datasets/truth-rule.ts'
import { BACKENDS, type BackendKind, gitBackend, PERSON, TIME_MS } from '../support/git-backends.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

/** Line ends of both kinds, attributes that would change them, names beyond ASCII: what backends might treat otherwise. */
const same = { '.gitattributes': '* text=auto eol=lf\n', same: 'q\r\n' }
const truth = { 't.csv': 'id,v,w\r\nz,1,x\r\na,1,old\r\n' }
const members: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  alice: { ...same, 't.csv': 'id,v,w\r\na,1,x\r\nb,2,y\r\n', 'ü.json': '{"a":1,"b":2}', own: '1' },
  bob: { ...same, 't.csv': 'id,v,w\na,1.01,x\nb,2,z\n', 'ü.json': '{"b":2, "a":1}' },
  carol: {
    ...same,
    't.csv': 'id,v,w\r\nb,2.02,y\r\nc,3,y\r\na,1,x',
    'ü.json': '{"a":1,"b":2}\n',
    other: '1',
  },
}
const weights = { alice: 500, bob: 700, carol: 300 }
const methods = [
  { name: 'identical' },
  { name: 'strangeness' },
  { name: 'rows', key: ['id'] },
  { name: 'numeric', key: ['id'], columns: ['v'], files: ['*.csv'], tolerance: { absolute: 0.05 } },
  { name: 'weighted', key: ['id'] },
  { name: 'weighted' },
  { name: 'dawid-skene', key: ['id'], columns: ['w'], files: ['*.csv'] },
].map((method) => methodSchema.parse(method))

test('members with either git backend sign the same result, whatever the method', async (t) => {
  const [native, isomorphic] = await Promise.all(BACKENDS.map((kind) => resultsOf(t, kind)))
  assert.deepEqual(isomorphic, native)
  const commits = new Set(Object.values(native ?? {}).map(({ commit }) => commit))
  assert.ok(!commits.has(null), 'each method decides something')
  assert.equal(commits.size, methods.length)
  assert.deepEqual(native?.['rows id']?.files['t.csv'], 'id,v,w\r\na,1,x\r\n')
})

interface Result {
  readonly commit: string | null
  readonly files: Readonly<Record<string, string>>
}

async function resultsOf(t: TestContext, kind: BackendKind): Promise<Readonly<Record<string, Result>>> {
  const backend = await gitBackend(t, kind)
  const directory = await temporaryDirectory(t)
  const repository = await backend.open(join(directory, 'data.git'))
  const cast = async (name: string, files: Readonly<Record<string, string>>) => {
    const own = join(directory, name)
    await mkdir(own)
    for (const [path, text] of Object.entries(files)) await writeFile(join(own, path), text)
    const tree = await repository.writeTreeFromDirectory(own)
    const commit = { tree, parents: [], message: `${name}\n`, author: PERSON, timeMs: TIME_MS }
    return { tree, commit: await repository.writeCommit(commit) }
  }
  const parent = (await cast('truth', truth)).commit
  const ballots: Record<string, Ballot> = {}
  for (const [name, files] of Object.entries(members)) ballots[name] = await cast(name, files)
  const counting = new Counting({
    datasets: { repository: async () => repository, ensureCommit: () => assert.fail('all is here') },
  })
  const signal = AbortSignal.timeout(30_000)
  const results: Record<string, Result> = {}
  for (const method of methods) {
    const opening = { method, parent, height: 1, ...(method.name === 'weighted' && { weights }) }
    const round = { dataset: 'data', step: 'collect', slot: TIME_MS }
    const { commit } = await counting.count(round, opening as never, { ballots } as never, signal)
    const files: Record<string, string> = {}
    for (const { path, oid } of commit === null ? [] : await repository.listFiles(commit))
      files[path] = Buffer.from(await repository.readBlob(oid)).toString()
    results[labelOf(method)] = { commit, files }
  }
  return results
}

function labelOf(method: Method): string {
  return 'key' in method && method.key !== undefined ? `${method.name} ${method.key}` : method.name
}

test('what a kill leaves of files on their way into a repository goes with the next ones', async (t) => {
  const backend = await gitBackend(t, 'native')
  const repository = await backend.open(join(await temporaryDirectory(t), 'swept.git'))
  const left = join(repository.path, 'merging-left')
  await mkdir(left)
  await storeFiles(repository, [Buffer.from('one'), Buffer.from('two')])
  assert.deepEqual(
    (await readdir(repository.path)).filter((name) => name.startsWith('merging-')),
    [],
  )
  assert.equal(Buffer.from(await repository.readBlob(objectId('blob', Buffer.from('two')))).toString(), 'two')
})
