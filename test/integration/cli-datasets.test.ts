import assert from 'node:assert/strict'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { directoryOf, noise } from '../support/dataset-node.ts'
import { startPerson } from '../support/dataset-people.ts'

test('a copy is checked and packed, and damage is told with exit code 9', async (t) => {
  const alice = await startPerson(t, 'alice')
  await alice.node.createFederation({ name: 'lab' })
  const none = await alice.type('dataset', 'list')
  assert.match(none.stdout, /There is no dataset yet; "maoctl dataset import/)
  const files = await directoryOf(t, { 'a.csv': 'id\n1\n', 'b.bin': noise(5_000) })
  await alice.told('dataset', 'import', files, '--name', 'data', '--description', 'two files')
  await alice.told('dataset', 'add', '--name', 'empty')

  const listed = await alice.type('dataset', 'list')
  assert.match(listed.stdout, /^NAME +POLICY +TRUTH +BRANCHES +SIZE +COPIES +HERE +DESCRIPTION$/m)
  assert.match(listed.stdout, /^data +shared +[0-9a-f]{10} +1 +\S.* +0 +yes: .* +two files$/m)
  const shown = await alice.type('dataset', 'show', 'data')
  assert.match(shown.stdout, /^policy: +shared: members may copy it$/m)
  assert.match(shown.stdout, /^on this disk: +\d.* of 50\.0 GiB allowed in \d+ objects$/m)
  assert.match(shown.stdout, /^import-alice +[0-9a-f]{10} +alice +yes$/m)

  const sound = await alice.type('dataset', 'verify', 'data')
  assert.equal(sound.exit, 0, sound.stderr)
  assert.match(sound.stdout, /^data is sound \(\d+ objects read\), and all that was announced is here\.$/m)
  const packed = await alice.type('dataset', 'gc')
  assert.equal(packed.exit, 0, packed.stderr)
  assert.match(packed.stdout, /^data: .* → .*\nempty: /m)
  const one = await alice.told<{ dataset: string; packs: number }>('dataset', 'gc', 'data')
  assert.deepEqual([one.dataset, one.packs], ['data', 1])

  const packs = join(alice.repositories, 'data.git/objects/pack')
  const pack = (await readdir(packs)).find((name) => name.endsWith('.pack')) as string
  await writeFile(join(packs, pack), 'no pack')
  const damaged = await alice.type('dataset', 'verify', 'data')
  assert.equal(damaged.exit, 9, damaged.stderr)
  assert.match(
    damaged.stdout,
    /^data is damaged: \d+ problems? .*remove-local data", then "maoctl dataset follow data/m,
  )
  assert.match(damaged.stdout, /^(CORRUPT|MISSING) /m)
  assert.equal((await alice.type('dataset', 'verify', 'absent')).exit, 3)
})
