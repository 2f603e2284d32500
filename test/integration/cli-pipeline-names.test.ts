import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { directoryOf } from '../support/dataset-node.ts'
import { startPerson } from '../support/dataset-people.ts'

test('a pipeline tells all members of a local-only dataset only when its owner says so', async (t) => {
  const alice = await startPerson(t, 'alice')
  await alice.node.createFederation({ name: 'lab' })
  const directory = await directoryOf(t, { 'a.csv': '1\n' })
  await alice.told('dataset', 'import', directory, '--name', 'diary', '--policy', 'local-only')
  await alice.told('dataset', 'import', directory, '--name', 'open')
  await alice.told('tool', 'add', 'counter', '--image', 'alpine')
  const file = join(directory, 'p.yaml')
  const write = (output: string) =>
    writeFile(
      file,
      `steps: [{ name: count, tool: counter, input_dataset: diary, output_dataset: ${output} }]\n`,
    )
  const { registry } = alice.node.federation
  const records = () =>
    registry.list('/').filter(({ key, value }) => `${key} ${Buffer.from(value)}`.includes('diary'))
  await write('diary')
  const add = ['pipeline', 'add', '-f', file, '--name', 'daily']
  const refused = await alice.type(...add)
  assert.notEqual(refused.exit, 0)
  assert.match(refused.stderr, /would tell them of diary, which is local-only; add --share-names/)
  assert.deepEqual(records(), [])
  assert.equal((await alice.type(...add, '--share-names')).exit, 0)
  assert.deepEqual(
    records().map(({ key }) => key),
    ['/pipelines/daily'],
  )
  // What all can read already is asked about no more.
  await write('open')
  assert.equal((await alice.type(...add)).exit, 0)
})
