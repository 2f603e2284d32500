import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { directoryOf } from '../support/dataset-node.ts'
import { startPerson } from '../support/dataset-people.ts'

test('the truth of a dataset on which nobody votes is told as the newest commit that it is', async (t) => {
  const alice = await startPerson(t, 'alice')
  await alice.node.createFederation({ name: 'lab' })
  const directory = await directoryOf(t, { 'a.csv': '1\n' })
  const truth = async (name: string) => (await alice.type('dataset', 'truth', name)).stdout
  for (const policy of ['shared', 'local-only', 'compute-only']) {
    await alice.told('dataset', 'import', directory, '--name', policy, '--policy', policy)
  }
  await writeFile(join(directory, 'a.csv'), '2\n')
  const { commit } = await alice.node.federation.datasets.commitDirectory({
    ...{ dataset: 'local-only', step: 'collect', directory, message: 'collect\n' },
  })
  assert.match(await truth('shared'), /none: this is what the dataset was founded with/)
  const local = await truth('local-only')
  assert.match(
    local,
    /none: nobody votes on a local-only dataset: this is the newest commit of whoever owns it/,
  )
  assert.ok(local.includes(commit), local)
  assert.match(await truth('compute-only'), /nobody votes on a compute-only dataset/)
})
